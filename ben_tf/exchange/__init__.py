"""What others serve and run: ONNX, TFLite, model repositories, model cards."""
