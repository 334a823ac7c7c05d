/*
 * Lowering: exported program -> partition -> Vulkan delegate -> .pte. The counterpart of
 * to_edge_transform_and_lower with VulkanPartitioner, and of to_executorch. Only in builds with the compile
 * half.
 */
#ifndef QVK_LOWER_H
#define QVK_LOWER_H

#include "qvk/module.h"
#include "qvk/program.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct qvk_vulkan_partitioner_options {
    bool force_fp16; /* float32 tensors are stored as float16 inside the delegate; sums stay float32 */
    bool require_dynamic_shapes; /* recorded in the compile specs */
    bool compat_executorch; /* only operators ExecuTorch's own runtime has, with its argument conventions */
    const char *const
        *block; /* operator name patterns that stay outside the delegate; NULL-terminated, may be NULL */
    /* Names of values (qvk_program_node_name) that become further outputs, after the program's own and in
     * this order; NULL-terminated, may be NULL. A value that is observed is not fused away. */
    const char *const *observe;
} qvk_vulkan_partitioner_options;

typedef struct qvk_lowered qvk_lowered; /* EdgeProgramManager / ExecutorchProgramManager */

/* options may be NULL. The exported program must outlive the lowered one (weights are borrowed). Errors:
 * QVK_UNSUPPORTED_OPERATOR (named, with the stack trace of the user's model where the file has it),
 * QVK_UNSUPPORTED, QVK_SHAPE, QVK_NOT_FOUND (no node makes an observed value), QVK_OUT_OF_MEMORY. */
QVK_API qvk_status qvk_to_edge_transform_and_lower(const qvk_program *program,
                                                   const qvk_vulkan_partitioner_options *options,
                                                   qvk_lowered **out, qvk_error *err);
/* .to_executorch(): plans memory and fixes the final form. After it, write or load. */
QVK_API qvk_status qvk_to_executorch(qvk_lowered *lowered, qvk_error *err);
/* ExecutorchProgramManager.write_to_file: whole or not at all. */
QVK_API qvk_status qvk_program_write(const qvk_lowered *lowered, const char *path, qvk_error *err);
QVK_API void qvk_lowered_destroy(qvk_lowered **lowered);
/* One line per node left outside the delegate, with the reason; owned by `lowered`; "" when nothing is. */
QVK_API const char *qvk_lowered_outside(const qvk_lowered *lowered);
/* Runs a lowered program without a file. `lowered` must outlive the module. */
QVK_API qvk_status qvk_module_load_lowered(qvk_context *context, const qvk_lowered *lowered,
                                           const qvk_module_params *params, qvk_module **out, qvk_error *err);

#ifdef __cplusplus
}
#endif

#endif
