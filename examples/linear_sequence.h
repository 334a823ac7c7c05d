/*
 * LinearSequenceModule of the two quantization examples: three linear layers, 128 -> 64 -> 32 -> 16, no bias.
 * Weights come from a formula instead of a random generator, so that the same model can be made in Python and
 * its numbers compared.
 */
#ifndef LINEAR_SEQUENCE_H
#define LINEAR_SEQUENCE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "qvk/qvk.h"

enum { M = 32, IN_FEATURES = 128, HIDDEN_1 = 64, HIDDEN_2 = 32, OUT_FEATURES = 16 };

/* Multiples of 2^-25 in [-0.25, 0.25): exact in float32. */
static inline void fill(float *data, size_t count, uint32_t seed)
{
    uint32_t state = seed;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        data[i] = (float)(state >> 8) / 33554432.0f - 0.25f;
    }
}

static inline qvk_node *add_linear(qvk_builder *builder, qvk_node *x, const char *name, int64_t out_features,
                                   int64_t in_features, uint32_t seed)
{
    static float data[HIDDEN_1 * IN_FEATURES]; /* the largest of the three; the builder copies it */
    const qvk_tensor weight = {QVK_DTYPE_F32, 2, {out_features, in_features}, data};

    fill(data, (size_t)(out_features * in_features), seed);
    return qvk_builder_linear(builder, x, qvk_builder_parameter(builder, name, &weight), NULL);
}

/* class LinearSequenceModule and torch.export.export(linear_sequence_module, sample_inputs) */
static inline qvk_status export_linear_sequence(qvk_program **out, qvk_error *err)
{
    static const int64_t sizes[2] = {M, IN_FEATURES};
    qvk_builder *builder;
    qvk_status status = qvk_builder_create(&builder, err);
    qvk_node *x;

    if (status != QVK_OK)
        return status;
    x = qvk_builder_input(builder, "x", QVK_DTYPE_F32, 2, sizes, 0);
    x = add_linear(builder, x, "linear1.weight", HIDDEN_1, IN_FEATURES, 1);
    x = add_linear(builder, x, "linear2.weight", HIDDEN_2, HIDDEN_1, 2);
    x = add_linear(builder, x, "linear3.weight", OUT_FEATURES, HIDDEN_2, 3);
    qvk_builder_output(builder, x);
    return qvk_builder_finish(&builder, out, err);
}

/* sample_inputs = (torch.randn(M, 128),) */
static inline qvk_tensor sample_input(void)
{
    static float data[M * IN_FEATURES];
    const qvk_tensor x = {QVK_DTYPE_F32, 2, {M, IN_FEATURES}, data};

    fill(data, M * IN_FEATURES, 4);
    return x;
}

/* Runs the lowered program on the best device and prints its first row. */
static inline qvk_status run_and_print(const qvk_lowered *lowered, qvk_error *err)
{
    const qvk_context_params reference = {.device = "cpu"};
    qvk_value input = {.kind = QVK_VALUE_TENSOR, .tensor = sample_input()}, output;
    qvk_context *context = NULL;
    qvk_module *module = NULL;
    qvk_status status = qvk_context_create(NULL, &context, err);

    if (status == QVK_NO_DEVICE)
        status = qvk_context_create(&reference, &context, err);
    if (status == QVK_OK)
        status = qvk_module_load_lowered(context, lowered, NULL, &module, err);
    if (status == QVK_OK)
        status = qvk_module_forward(module, "forward", &input, 1, &output, 1, err);
    for (int i = 0; status == QVK_OK && i < OUT_FEATURES; i++)
        printf("%.6f\n", (double)((const float *)output.tensor.data)[i]);
    qvk_module_destroy(&module);
    qvk_context_destroy(&context);
    return status;
}

#endif
