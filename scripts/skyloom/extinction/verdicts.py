"""The verdicts on a field, from best to worst; a missing field has no stars to judge."""

USED, FLAGGED, REFUSED, MISSING = "used", "flagged", "refused", "missing"
ORDER = USED, FLAGGED, REFUSED
VERDICTS = *ORDER, MISSING
