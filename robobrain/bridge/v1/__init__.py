"""Generated protobuf modules: change protos/ and run scripts/generate_protos.py."""
