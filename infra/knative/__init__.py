"""The manifests that run the functions on Knative, made from their declarations; `base/` and `overlays/` hold them."""
