"""The report: results of revisions as one HTML file that needs no network."""
