"""Stored responses: read again, continued, listed, deleted; and those in the background."""
