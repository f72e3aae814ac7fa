"""Claims about providers' streams of fills: that the subscription is answered, and fills come in a shape that is read.

A provider is looked at only where its key is set. A stream without a liquidation in the meantime shows no more than
that it is answered.
"""

import asyncio
import time
from functools import partial
from typing import Final

import msgspec
from websockets.exceptions import InvalidStatus, WebSocketException

from liqtruth.heatmap.errors import LeftOut, SourceUnreachable, one_line
from liqtruth.indexer.doctor.claims import Check, Seen
from liqtruth.indexer.doctor.evidence import Evidence
from liqtruth.indexer.node.fill_streams import LARGEST_MESSAGE, STREAMS, FillStream, StreamRefused, pushed
from liqtruth.storage.net.keys import without_key
from liqtruth.storage.net.long_runs import Straight, within

PATIENCE_S: Final = 15.0


async def answered(stream: FillStream, evidence: Evidence) -> Seen:
    """What came on the stream within `PATIENCE_S` of subscribing."""
    key = evidence.provider_keys.get(stream.name)
    if key is None:
        return Seen("not_seen", f"{stream.variable} is not set")
    seen, left_out = Seen("differs", f"the subscription was not answered within {PATIENCE_S:g} s"), LeftOut()
    try:
        async with (
            asyncio.timeout(PATIENCE_S),
            Straight(
                stream.url(evidence.provider_url, key), close_timeout=1, max_size=LARGEST_MESSAGE
            ) as connection,
        ):
            await connection.send(msgspec.json.encode(stream.subscription).decode())
            while True:
                came = pushed(await within(PATIENCE_S, connection), left_out, time.time())
                if left_out.total:
                    return Seen("differs", "; ".join(left_out.describe()))
                if came.fills:
                    forced = [fill.liquidation for _, fill in came.liquidations if fill.liquidation]
                    named = sum(one.liquidated_user is not None for one in forced)
                    words = (
                        f"{came.fills} fills, {len(forced)} of liquidations, {named} of them name the account"
                    )
                    return Seen("holds" if named == len(forced) else "differs", words)
                if came.acknowledged:
                    seen = Seen("holds", f"answered; no fill came within {PATIENCE_S:g} s")
    except TimeoutError:
        return seen
    except StreamRefused as error:
        return Seen("differs", without_key(f"refused: {error}", key))
    except InvalidStatus as error:
        return Seen("differs", f"the handshake was refused with HTTP {error.response.status_code}")
    except (OSError, WebSocketException) as error:
        raise SourceUnreachable(f"{stream.name}: {without_key(one_line(str(error), 120), key)}") from None


CHECKS: Final = tuple(
    Check(
        f"provider-{stream.name}",
        "provider",
        f"{stream.name} pushes fills with their liquidations as its documentation shows",
        partial(answered, stream),
    )
    for stream in STREAMS.values()
)
