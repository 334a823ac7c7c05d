/*
 * Quantization: torchao's quantize_ and PT2E with VulkanQuantizer, in C. Formulas and rounding are theirs:
 * weights and scales come out bit-identical. Programs are changed in place. Only in builds with the compile
 * half.
 */
#ifndef QVK_QUANTIZE_H
#define QVK_QUANTIZE_H

#include "qvk/context.h"
#include "qvk/program.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * X(NAME, name, weight bits, activation, text): the schemes of the command line.
 * activation: 0 float, 1 int8 dynamic per token, 2 int8 static per tensor.
 */
#define QVK_SCHEME_LIST(X)                                                                                   \
    X(4W, "4w", 4, 0, "int4 symmetric weights per group or channel, float activations")                      \
    X(8DA4W, "8da4w", 4, 1, "int4 symmetric weights, int8 asymmetric activations per token, dynamic")        \
    X(8W, "8w", 8, 0, "int8 symmetric weights per channel or group, float activations")                      \
    X(8DA8W, "8da8w", 8, 1, "int8 symmetric weights, int8 asymmetric activations per token, dynamic")        \
    X(8A8W, "8a8w", 8, 2,                                                                                    \
      "int8 symmetric weights per channel, int8 asymmetric activations per tensor, static")

typedef enum qvk_scheme {
    QVK_SCHEME_NONE = 0,
#define QVK_SCHEME_ENUM(NAME, name, bits, activation, text) QVK_SCHEME_##NAME,
    QVK_SCHEME_LIST(QVK_SCHEME_ENUM)
#undef QVK_SCHEME_ENUM
} qvk_scheme;
/* QVK_SCHEME_NONE when unknown. */
QVK_API qvk_scheme qvk_scheme_from_name(const char *name);
QVK_API const char *qvk_scheme_name(qvk_scheme scheme);

/* ---- torchao flow -------------------------------------------------------------------------------------- */

typedef enum qvk_mapping_type { /* torchao MappingType */
                                QVK_MAPPING_SYMMETRIC = 0,
                                QVK_MAPPING_SYMMETRIC_NO_CLIPPING_ERR,
                                QVK_MAPPING_ASYMMETRIC
} qvk_mapping_type;

typedef enum qvk_choose_qparams {
    QVK_CHOOSE_QPARAMS_AFFINE = 0,
    QVK_CHOOSE_QPARAMS_HQQ_SCALE_ONLY
} qvk_choose_qparams;

/* torchao Granularity. group_size 0: PerAxis(0), one scale per output channel; > 0: PerGroup(group_size). */
typedef struct qvk_granularity {
    int64_t group_size;
} qvk_granularity;
#define QVK_PER_AXIS_0   ((qvk_granularity){0})
#define QVK_PER_GROUP(g) ((qvk_granularity){g})

typedef enum qvk_config_kind {
    QVK_CONFIG_INTX_WEIGHT_ONLY = 1,
    QVK_CONFIG_INT8_DYNAMIC_ACTIVATION_INTX_WEIGHT
} qvk_config_kind;

/* What both configs share; quantize takes a pointer to it. */
typedef struct qvk_quant_config {
    qvk_config_kind kind;
    int32_t weight_bits; /* 1..8; 0: 8 (torchao's default weight_dtype is torch.int8) */
    qvk_granularity granularity;
    qvk_mapping_type mapping_type;
    qvk_dtype scale_dtype; /* QVK_DTYPE_NONE: the weight's dtype */
    qvk_choose_qparams choose_qparams;
} qvk_quant_config;

/* IntxWeightOnlyConfig(weight_dtype, granularity, mapping_type, scale_dtype, intx_choose_qparams_algorithm)
 */
typedef struct qvk_intx_weight_only_config {
    qvk_quant_config base; /* kind = QVK_CONFIG_INTX_WEIGHT_ONLY */
} qvk_intx_weight_only_config;
/* Int8DynamicActivationIntxWeightConfig(weight_dtype, weight_granularity, weight_mapping_type,
 * weight_scale_dtype, ...) */
typedef struct qvk_int8_dynamic_activation_intx_weight_config {
    qvk_quant_config base; /* kind = QVK_CONFIG_INT8_DYNAMIC_ACTIVATION_INTX_WEIGHT */
} qvk_int8_dynamic_activation_intx_weight_config;

/* Filter on a module's fully qualified name ("layers.0.attn.q_proj"); true: quantize it. */
typedef bool (*qvk_filter_fn)(const char *module_name, void *user);
typedef void (*qvk_progress_fn)(void *user, uint64_t done, uint64_t total, const char *what);

typedef struct qvk_quantize_params {
    qvk_filter_fn filter; /* NULL: every linear (torchao's default) */
    void *filter_user;
    bool embeddings; /* also quantize embedding weights */
    qvk_progress_fn progress;
    void *progress_user;
} qvk_quantize_params;

/*
 * quantize_(model, config, filter_fn). params may be NULL. Errors: QVK_SHAPE (in_features not divisible by
 * group_size: module, numbers), QVK_INVALID_ARGUMENT, QVK_UNSUPPORTED (NaN in a weight: named),
 * QVK_OUT_OF_MEMORY. On failure the program is unchanged.
 */
QVK_API qvk_status qvk_quantize(qvk_program *program, const qvk_quant_config *config,
                                const qvk_quantize_params *params, qvk_error *err);

/* ---- PT2E flow ----------------------------------------------------------------------------------------- */

/* get_symmetric_quantization_config(is_dynamic, weight_bits, act_bits, act_qmin, act_qmax, weight_qmin,
 * weight_qmax) */
typedef struct qvk_symmetric_quantization_config {
    bool is_dynamic;
    int32_t weight_bits; /* 8 or 4; 0: 8 */
    int32_t act_bits;    /* 8; 0: 8 */
    bool has_act_range, has_weight_range;
    int32_t act_qmin, act_qmax, weight_qmin, weight_qmax; /* used when has_*_range */
} qvk_symmetric_quantization_config;

typedef struct qvk_vulkan_quantizer qvk_vulkan_quantizer;
QVK_API qvk_status qvk_vulkan_quantizer_create(qvk_vulkan_quantizer **out, qvk_error *err);
QVK_API void qvk_vulkan_quantizer_destroy(qvk_vulkan_quantizer **quantizer);
QVK_API qvk_status qvk_vulkan_quantizer_set_global(qvk_vulkan_quantizer *quantizer,
                                                   const qvk_symmetric_quantization_config *config,
                                                   qvk_error *err);
QVK_API void qvk_vulkan_quantizer_set_filter(qvk_vulkan_quantizer *quantizer, qvk_filter_fn filter,
                                             void *user);
/* Static int8 for linear, conv2d (normal, depthwise, pointwise, transposed), add, relu, pooling and cat: the
 * graph PT2E gives with the XNNPACK quantizer, per channel. */
QVK_API qvk_status qvk_vulkan_quantizer_set_static(qvk_vulkan_quantizer *quantizer, qvk_error *err);

/* prepare_pt2e: folds batch norms, annotates, places observers. */
QVK_API qvk_status qvk_prepare_pt2e(qvk_program *program, const qvk_vulkan_quantizer *quantizer,
                                    qvk_error *err);
/* Runs one sample through the prepared program; inputs as for forward. context NULL: on the CPU reference. */
QVK_API qvk_status qvk_calibrate(qvk_program *program, qvk_context *context, const qvk_tensor *inputs,
                                 int32_t n_inputs, qvk_error *err);
/* convert_pt2e: observers become quantize/dequantize, weights are folded. QVK_UNSUPPORTED when a static
 * observer never saw data. */
QVK_API qvk_status qvk_convert_pt2e(qvk_program *program, qvk_error *err);

#ifdef __cplusplus
}
#endif

#endif
