"""What others serve and run: ONNX, TFLite and folders for servers."""
