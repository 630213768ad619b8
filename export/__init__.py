"""Turn fitted models into self-contained ONNX files, and measure those files."""
