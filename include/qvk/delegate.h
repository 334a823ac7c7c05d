/*
 * Delegates: a Vulkan blob alone, without a .pte around it. For runtimes that read programs themselves and
 * hand their "VulkanBackend" parts to qvk (ExecuTorch). Everything else uses module.h.
 *
 * Threads: as for modules; two threads in one delegate at once: the second gets QVK_BUSY.
 */
#ifndef QVK_DELEGATE_H
#define QVK_DELEGATE_H

#include "qvk/module.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct qvk_delegate qvk_delegate;

/* Bytes of a named constant; false when there is none. They stay valid until they are released, without a
 * release callback while the delegate lives. */
typedef bool (*qvk_find_data_fn)(void *user, const char *key, const void **data, size_t *bytes);
/* The bytes that find gave for this key are no longer needed. They may be asked for again. */
typedef void (*qvk_release_data_fn)(void *user, const char *key, const void *data);

/* Zero means default. */
typedef struct qvk_delegate_params {
    /* Both are called by the thread that creates or runs the delegate, during that call. */
    qvk_find_data_fn find; /* NULL: the blob holds all its constants */
    qvk_release_data_fn
        release; /* NULL: the bytes stay borrowed. Else weights are read, uploaded and released */
    void *find_user;
    bool verify; /* as in qvk_module_params */
} qvk_delegate_params;

/*
 * Reads and verifies the blob (VH00 header and VK00 flatbuffer), uploads weights, prepares every kernel. The
 * blob's bytes stay borrowed while the delegate lives. params may be NULL. Errors as for qvk_module_load.
 */
QVK_API qvk_status qvk_delegate_create(qvk_context *context, const void *blob, size_t bytes,
                                       const qvk_delegate_params *params, qvk_delegate **out, qvk_error *err);
QVK_API void qvk_delegate_destroy(qvk_delegate **delegate);

QVK_API int32_t qvk_delegate_input_count(const qvk_delegate *delegate);
QVK_API int32_t qvk_delegate_output_count(const qvk_delegate *delegate);
/* Kind, dtype (the caller's) and upper-bound sizes of an output; tensor.data NULL. QVK_INVALID_ARGUMENT when
 * index is out of range. */
QVK_API qvk_status qvk_delegate_output_info(const qvk_delegate *delegate, int32_t index, qvk_value *out,
                                            qvk_error *err);

/*
 * One line for each operator that runs on the CPU reference although the context has a device: its name and
 * the reason, newline separated; "" when all run on the device. Belongs to the delegate, valid until its next
 * run.
 */
QVK_API const char *qvk_delegate_cpu_reasons(const qvk_delegate *delegate);

/*
 * Inputs and outputs in the blob's order. Tensors may have any size up to their bound; int64 and float64
 * tensors are taken where the blob holds int32 and float32. An output whose tensor.data is set on entry is
 * written there, in its dtype; the sizes given on entry are the room (QVK_SHAPE where it does not suffice).
 * Else the data belongs to the delegate until its next run. On return the sizes are the actual ones. With
 * fewer outputs than the blob has, the leading surplus (mutated buffers) is left out. Buffers the graph
 * mutates keep their state between runs. Errors as for qvk_module_forward.
 */
QVK_API qvk_status qvk_delegate_run(qvk_delegate *delegate, const qvk_value *inputs, int32_t n_inputs,
                                    qvk_value *outputs, int32_t n_outputs, qvk_error *err);

#ifdef __cplusplus
}
#endif

#endif
