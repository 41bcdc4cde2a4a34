"""Who runs the network: a plain function, a bare UNet."""
