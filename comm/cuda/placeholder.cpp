#include <ATen/cuda/CUDAContext.h>
#include <nccl.h>
#include <nvrtc.h>
