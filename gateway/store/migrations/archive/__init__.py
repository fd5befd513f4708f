"""The archive's revisions, the oldest first; one that is released is never changed."""
