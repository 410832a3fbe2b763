"""The spiking whole brain: tables, network in NEST, devices, and the kernel process that runs it."""
