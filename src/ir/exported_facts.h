/* What the text and the JSON form of an exported program have in common. Private to src/ir. */
#ifndef QVK__EXPORTED_FACTS_H
#define QVK__EXPORTED_FACTS_H

#include "ir/ir.h"

/* How a constant is used as a quantized weight: dequantized by torchao's or PT2E's operators. */
typedef struct qvk__quantized_use {
    bool quantized;
    int bits;           /* of the range in use, not of the storage */
    bool dynamic_input; /* the layer's input is quantized when it runs */
    bool static_input;  /* the layer's input is quantized with known parameters */
    bool per_tensor;
    int64_t group_size; /* 0: one scale a channel (or the whole tensor) */
} qvk__quantized_use;

/* One per value of the graph; malloc'ed, NULL when memory runs out. */
qvk__quantized_use *qvk__quantized_uses(const qvk__exported *program);
/* "4w", "8da4w", "8a8w" ... as qvk quantize names schemes. */
typedef struct qvk__scheme_name {
    char text[16];
} qvk__scheme_name;
qvk__scheme_name qvk__scheme_of(const qvk__quantized_use *use);

/* Bytes of all weights, tied ones once. */
uint64_t qvk__exported_bytes(const qvk__exported *program);
const char *qvk__input_kind_name(qvk__input_kind kind);
/* "[2*s0, 128]": sizes with their expressions. */
void qvk__print_sizes(const qvk__exported *program, const qvk__value *value, qvk__string *out);

#endif
