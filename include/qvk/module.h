/*
 * Modules: load a lowered program (.pte) and run it. The counterpart of ExecuTorch's Module.
 *
 * Threads: different modules may run at once on different threads, on one context. One module runs one call
 * at a time: a second thread that enters meanwhile gets QVK_BUSY, never a wrong result.
 *
 * Every kernel is resolved and every pipeline created by load: a forward call can fail for its inputs, for
 * memory, or because the device is lost, but not for a missing operator.
 */
#ifndef QVK_MODULE_H
#define QVK_MODULE_H

#include "qvk/context.h"
#include "qvk/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct qvk_module qvk_module;

/* Zero means default. */
typedef struct qvk_module_params {
    const char *const *data_paths; /* .ptd files with external constants */
    int32_t n_data_paths;
    bool verify;  /* recompute every operator on the CPU reference after it ran; forward fails with
                   * QVK_VERIFY_FAILED and names the  first one that disagrees */
    bool profile; /* record GPU timestamps: qvk_module_profile */
} qvk_module_params;

/*
 * Maps and verifies the file, uploads weights, prepares every method. params may be NULL.
 * Errors: QVK_NOT_FOUND, QVK_IO, QVK_BAD_FORMAT (with byte place), QVK_BAD_VERSION, QVK_UNSUPPORTED_OPERATOR
 * (named, with its node), QVK_UNSUPPORTED, QVK_OUT_OF_MEMORY, QVK_OUT_OF_DEVICE_MEMORY, QVK_DEVICE_LOST,
 * QVK_DRIVER.
 */
QVK_API qvk_status qvk_module_load(qvk_context *context, const char *path, const qvk_module_params *params,
                                   qvk_module **out, qvk_error *err);

/* The same from bytes, borrowed until the module is destroyed. `name` is used in messages; NULL: "program".
 */
QVK_API qvk_status qvk_module_load_bytes(qvk_context *context, const void *data, size_t bytes,
                                         const char *name, const qvk_module_params *params, qvk_module **out,
                                         qvk_error *err);

QVK_API void qvk_module_destroy(qvk_module **module);

QVK_API int32_t qvk_module_method_count(const qvk_module *module);
/* NULL when index is out of range. Owned by the module. */
QVK_API const char *qvk_module_method_name(const qvk_module *module, int32_t index);

typedef enum qvk_value_kind {
    QVK_VALUE_TENSOR = 0,
    QVK_VALUE_INT,
    QVK_VALUE_FLOAT,
    QVK_VALUE_BOOL,
    QVK_VALUE_NONE /* Python None or a string: nothing to pass */
} qvk_value_kind;

/* An input or output of a method. */
typedef struct qvk_value {
    qvk_value_kind kind;
    qvk_tensor tensor; /* TENSOR */
    int64_t i;         /* INT, BOOL (0 or 1) */
    double f;          /* FLOAT */
} qvk_value;

typedef struct qvk_method_info {
    int32_t n_inputs, n_outputs;
} qvk_method_info;

/* method NULL: "forward", or the only method there is. */
QVK_API qvk_status qvk_module_method_info(const qvk_module *module, const char *method, qvk_method_info *out,
                                          qvk_error *err);
/* Kind, dtype, rank and (upper-bound) sizes of an input/output; tensor.data NULL. *dynamic (may be NULL):
 * sizes may be smaller; an input number may be another than the one described (where not, the program was
 * exported with that number and takes nothing else). */
QVK_API qvk_status qvk_module_input_info(const qvk_module *module, const char *method, int32_t index,
                                         qvk_value *out, bool *dynamic, qvk_error *err);
QVK_API qvk_status qvk_module_output_info(const qvk_module *module, const char *method, int32_t index,
                                          qvk_value *out, bool *dynamic, qvk_error *err);

/*
 * Runs a method. Inputs are borrowed for the call; tensors must match dtype and rank, and sizes exactly (or
 * up to the bound where dynamic). Outputs' tensor data belongs to the module and stays valid until its next
 * forward, or destroy. Buffers the program mutates (KV caches) keep their state between calls. Errors:
 * QVK_INPUT_MISMATCH (which input, wanted and had), QVK_BUSY, QVK_SHAPE, QVK_DEVICE_LOST, QVK_TIMEOUT,
 * QVK_OUT_OF_MEMORY, QVK_OUT_OF_DEVICE_MEMORY, QVK_VERIFY_FAILED.
 */
QVK_API qvk_status qvk_module_forward(qvk_module *module, const char *method, const qvk_value *inputs,
                                      int32_t n_inputs, qvk_value *outputs, int32_t n_outputs,
                                      qvk_error *err);

/* Sets all mutable state back to what it was after load. */
QVK_API qvk_status qvk_module_reset(qvk_module *module, qvk_error *err);

/* One dispatch (or CPU step) of the last forward call of a module loaded with `profile`. Strings belong to
 * the module. */
typedef struct qvk_profile_entry {
    const char *name;        /* operator, "et_vk.linear_q4gsw.default" */
    const char *kernel;      /* "linear_q4gsw_mv"; "reference" for a CPU step */
    double start_us, gpu_us; /* from the start of the call; duration */
    uint64_t bytes, ops;     /* that must at least be moved / computed */
    bool on_device;
} qvk_profile_entry;
/* *n: capacity in, count out. */
QVK_API qvk_status qvk_module_profile(const qvk_module *module, qvk_profile_entry *out, size_t *n,
                                      qvk_error *err);

/* How long the last forward call took that succeeded, in microseconds on the calling thread: wait_us waiting
 * for the device, cpu_us everything else: inputs checked and copied in, shapes adjusted, submitting, CPU
 * steps, outputs copied out. Zeros before the first. Not while a call runs. */
typedef struct qvk_call_info {
    double cpu_us, wait_us;
} qvk_call_info;
QVK_API void qvk_module_call_info(const qvk_module *module, qvk_call_info *out);

/* What load did: milliseconds, bytes of weights on the device, and one line for each operator that runs on
 * the CPU with the reason (newline separated, owned by the module, "" when everything runs on the device). */
typedef struct qvk_load_info {
    double read_ms, upload_ms, pipeline_ms, total_ms;
    uint64_t weight_bytes, activation_bytes;
    int32_t n_dispatches, n_pipelines, n_cpu_steps;
    const char *cpu_reasons;
} qvk_load_info;
QVK_API void qvk_module_load_info(const qvk_module *module, qvk_load_info *out);

/* Machine-measured ceilings of the context's device, for `share reached`: copy bandwidth and arithmetic rates
 * through the widest path the device offers. Takes up to a second; 0 where there is no such path. */
typedef struct qvk_ceilings {
    double copy_gbps, f32_tflops, f16_tflops, int8_tops;
} qvk_ceilings;
QVK_API qvk_status qvk_context_measure(qvk_context *context, qvk_ceilings *out, qvk_error *err);

#ifdef __cplusplus
}
#endif

#endif
