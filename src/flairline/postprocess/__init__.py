"""From score to mask: thresholds and component filters."""
