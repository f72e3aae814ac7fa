"""The shared vocabulary: price grid, heatmap, clusters, drawing. Imports nothing else of ours."""
