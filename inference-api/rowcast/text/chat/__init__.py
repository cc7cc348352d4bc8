"""Chats: templates, tools, reasoning."""
