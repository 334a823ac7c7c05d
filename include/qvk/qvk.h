/*
 * qvk: quantize PyTorch programs and run them on any Vulkan GPU.
 *
 * Read in this order: status.h (how everything reports), tensor.h, then either half:
 *   run half      context.h -> module.h (-> npy.h, inspect.h)
 *   compile half  program.h -> quantize.h -> lower.h
 */
#ifndef QVK_QVK_H
#define QVK_QVK_H

#include "qvk/context.h"
#include "qvk/delegate.h"
#include "qvk/inspect.h"
#include "qvk/lower.h"
#include "qvk/module.h"
#include "qvk/npy.h"
#include "qvk/program.h"
#include "qvk/quantize.h"
#include "qvk/status.h"
#include "qvk/tensor.h"
#include "qvk/version.h"

#endif
