"""Thin asyncio shells around the protocol machines; each is one process in a container."""
