"""What the end-to-end tests share: a daemon of their own, clients, images, load and leak checks."""
