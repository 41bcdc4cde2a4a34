"""Makes the bundled model: drawn faces, an autoencoder, a denoiser, an export, a measurement."""
