//! What is in Jellyfin's own backup zip, and what must hold for a server to restore it?
