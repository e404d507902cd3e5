"""How everything here runs: errors, console output, files, paths, stages."""
