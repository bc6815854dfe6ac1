"""gonogo: load a service, break it, shadow it, roll it back, and judge whether it is ready to launch."""
