"""Answers of /v1/responses: the response object, its items and its events."""
