"""Runtime: how anything here runs: errors, console, files, paths, stages."""
