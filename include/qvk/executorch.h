/*
 * qvk as ExecuTorch's Vulkan backend: the functions of libqvk_executorch, a library beside libqvk that is
 * built against an installed ExecuTorch. Loading it registers "VulkanBackend" with the ExecuTorch runtime in
 * the process, unless one is registered already. C interface; the backend itself is C++ because ExecuTorch's
 * is.
 */
#ifndef QVK_EXECUTORCH_H
#define QVK_EXECUTORCH_H

#include "qvk/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Chooses the device for every program loaded from now on; strings are copied. Until this is called the
 * environment decides: QVK_DEVICE, QVK_DISABLE, QVK_CACHE_DIR, as for the qvk command. QVK_LOG=1 in the
 * environment writes messages, and the operators that run on the CPU, into ExecuTorch's log. Thread-safe. A
 * context that is in use by loaded programs lives on with them.
 */
QVK_API qvk_status qvk_executorch_configure(const qvk_context_params *params, qvk_error *err);

/* Whether this library is the process's "VulkanBackend" (false: another one was registered first). */
QVK_API bool qvk_executorch_is_registered(void);

#ifdef __cplusplus
}
#endif

#endif
