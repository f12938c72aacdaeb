"""Short vectors for kernels: each operation in LLVM's instructions, with its twin in plain Python beside it."""
