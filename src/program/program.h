/*
 * program: a lowered program in memory, and the files it lives in. The only thing the two halves share.
 *
 * A program has methods; a method is a list of instructions over EValues (ExecuTorch's .pte), most of which
 * call a delegate; a delegate is a qvk__graph (the Vulkan blob, VH00/VK00). Readers verify every byte before
 * use: what they return has ids in range, shapes that multiply without overflow, constants inside the file.
 */
#ifndef QVK__PROGRAM_H
#define QVK__PROGRAM_H

#include "core/graph.h"

typedef enum qvk__evalue_kind {
    QVK__EVALUE_NULL = 0,
    QVK__EVALUE_INT,
    QVK__EVALUE_BOOL,
    QVK__EVALUE_DOUBLE,
    QVK__EVALUE_TENSOR,
    QVK__EVALUE_STRING,
    QVK__EVALUE_INT_LIST,            /* items are value ids of Ints */
    QVK__EVALUE_DOUBLE_LIST,         /* literal */
    QVK__EVALUE_BOOL_LIST,           /* literal */
    QVK__EVALUE_TENSOR_LIST,         /* value ids */
    QVK__EVALUE_OPTIONAL_TENSOR_LIST /* value ids, -1 for None */
} qvk__evalue_kind;

typedef struct qvk__evalue {
    qvk__evalue_kind kind;
    int64_t int_value; /* INT, BOOL */
    double double_value;
    const char *string;
    uint32_t count;
    const int32_t *ids; /* INT_LIST, TENSOR_LIST, OPTIONAL_TENSOR_LIST */
    const double *doubles;
    const bool *bools;
    /* TENSOR */
    qvk_tensor desc; /* upper bounds when dynamic */
    uint8_t dim_order[QVK_MAX_RANK];
    bool dynamic; /* DYNAMIC_BOUND: sizes may be smaller */
    const void
        *constant; /* constant or initial bytes in C order, NULL when none; initial bytes may be misaligned */
    uint64_t constant_bytes; /* those of desc */
    bool planned; /* has allocation_info: lives in planned memory (mutable when constant is set too) */
    uint32_t memory_id;
    uint64_t memory_offset;
    const char *external_name; /* EXTERNAL tensors: key in a .ptd file; constant is filled once it is found */
} qvk__evalue;

typedef enum qvk__instruction_kind {
    QVK__INSTRUCTION_KERNEL,
    QVK__INSTRUCTION_DELEGATE,
    QVK__INSTRUCTION_MOVE,
    QVK__INSTRUCTION_JUMP_FALSE,
    QVK__INSTRUCTION_FREE
} qvk__instruction_kind;

typedef struct qvk__instruction {
    qvk__instruction_kind kind;
    int32_t index;  /* KERNEL: operator, DELEGATE: delegate, MOVE: from, JUMP_FALSE: condition value, FREE:
                       value */
    int32_t target; /* MOVE: to, JUMP_FALSE: instruction */
    const int32_t *args; /* KERNEL, DELEGATE: value ids */
    uint32_t n_args;
} qvk__instruction;

typedef struct qvk__operator_ref {
    const char *name, *overload; /* "aten::add", "out" */
    qvk__op op;                  /* QVK__OP_NONE when unknown: an error when it is reached by load */
} qvk__operator_ref;

typedef struct qvk__compile_spec {
    const char *key;
    const uint8_t *value;
    uint32_t bytes;
} qvk__compile_spec;

typedef struct qvk__delegate {
    const char *id; /* "VulkanBackend" */
    const uint8_t *blob;
    uint64_t blob_bytes;
    const qvk__compile_spec *specs;
    uint32_t n_specs;
    qvk__graph graph; /* of a VulkanBackend: parsed from its blob, or built (then there is no blob) */
    bool parsed;      /* graph is set */
} qvk__delegate;

typedef struct qvk__method {
    const char *name;
    qvk__evalue *values;
    uint32_t n_values;
    const int32_t *inputs, *outputs; /* value ids */
    uint32_t n_inputs, n_outputs;
    const char *input_spec, *output_spec; /* pytrees as torch.utils._pytree writes them; may be NULL */
    qvk__operator_ref *operators;
    uint32_t n_operators;
    qvk__delegate *delegates;
    uint32_t n_delegates;
    qvk__instruction *instructions;
    uint32_t n_instructions;
    const uint64_t *buffer_bytes; /* planned memory by memory_id; [0] unused */
    uint32_t n_buffers;
} qvk__method;

/* Is this value read by any instruction? An input number that is not was a constant of the traced Python: no
 * call may pass another. */
bool qvk__method_reads(const qvk__method *method, int32_t value);

/* Constant by name (named data of the .pte, external .ptd files). */
typedef struct qvk__named_data {
    const char *key;
    const uint8_t *data;
    uint64_t bytes;
} qvk__named_data;

typedef struct qvk__program {
    qvk__arena arena;
    qvk__file file;             /* the mapped .pte; zero when built in memory */
    QVK__VEC(qvk__file) extras; /* mapped .ptd files */
    uint32_t version;
    qvk__method *methods;
    uint32_t n_methods;
    QVK__VEC(qvk__named_data) named; /* sorted by key once read */
} qvk__program;

/*
 * Reads and verifies a whole .pte (and the .ptd files its external constants need; `data_paths` may be NULL
 * when there are none). The files stay mapped; constants are borrowed from them. Errors: QVK_NOT_FOUND (file,
 * or data that no .ptd has), QVK_IO, QVK_BAD_FORMAT with its place, QVK_BAD_VERSION, QVK_UNSUPPORTED (dtype,
 * rank, unbounded shapes), QVK_OUT_OF_MEMORY.
 */
qvk_status qvk__program_read(const char *path, const char *const *data_paths, int n_data_paths,
                             qvk__program *out, qvk_error *err);
/* The same on bytes that stay valid as long as the program. `name` is for messages. */
qvk_status qvk__program_read_bytes(const uint8_t *data, uint64_t bytes, const char *name, qvk__program *out,
                                   qvk_error *err);
void qvk__program_finish(qvk__program *program);

/* Ids in range, lists of the right kinds, planned tensors inside their buffers, jump targets, delegate
 * arguments against the delegate's graph. Every program read has passed it, and every program is checked
 * before it is written. */
qvk_status qvk__program_verify(const qvk__program *program, qvk_error *err);
/* Bytes by key among the named data of the program and its .ptd files; NULL when there are none. */
const qvk__named_data *qvk__program_find(const qvk__program *program, const char *key);
/* qvk__file_let_go for whichever of the program's mapped files has the bytes; nothing for bytes in memory. */
void qvk__program_let_go(const qvk__program *program, const void *data, uint64_t bytes);

/*
 * A Vulkan blob alone (VH00 + VK00): fills `out`, whose constants borrow from the blob or come from `named`
 * by key (NULL: no named data). With `release`, data that was found is given back at once and found again
 * whenever it is read: the source must live as long as the graph. Operators the table does
 * not have become QVK__OP_NONE nodes with their name as target.
 */
typedef struct qvk__data_source {
    bool (*find)(void *user, const char *key, const uint8_t **data, uint64_t *bytes);
    void (*release)(void *user, const char *key, const uint8_t *data); /* NULL: it stays valid */
    void *user;
} qvk__data_source;
qvk_status qvk__blob_read(const uint8_t *data, uint64_t bytes, const qvk__data_source *named, qvk__graph *out,
                          qvk_error *err);

/*
 * The other way round: *out is malloc'ed. `keys` names the data of each constant, which is then stored
 * elsewhere; NULL puts the constants into the blob itself. Buffers the graph writes in place are written as
 * ExecuTorch has them: through et_vk.prepack, and as results that bear their id. Errors: QVK_UNSUPPORTED
 * (dtypes without a code), QVK_OUT_OF_MEMORY, what a constant's fill returns.
 */
typedef struct qvk__key_source {
    const char *(*key)(void *user, const qvk__constant *constant);
    void *user;
} qvk__key_source;
qvk_status qvk__blob_write(const qvk__graph *graph, const qvk__key_source *keys, uint8_t **out,
                           uint64_t *bytes, qvk_error *err);

/*
 * Writing what ExecuTorch 1.5.1 reads. A Vulkan delegate is made from its graph (any other one from its
 * blob); its constants become named data keyed by the SHA-256 of their bytes, written as they are made (see
 * qvk__constant.fill): peak memory is one constant. Kernel calls outside delegates take their names from the
 * table where they have none.
 */
qvk_status qvk__program_write(const qvk__program *program, const char *path, qvk_error *err);

/* What is in a program, for people and as one JSON object: methods, inputs and outputs, delegates, constants
 * with their bytes, operators outside delegates. `graph`: every operator and instruction too. */
void qvk__program_print(const qvk__program *program, bool graph, qvk__string *out);
void qvk__program_print_json(const qvk__program *program, bool graph, qvk__string *out);

#endif
