/*
 * The graph both halves speak: values and nodes in execution order. An exported program is one (src/ir adds
 * its signature and symbolic dimensions), and so is a Vulkan delegate (src/program reads and writes it as a
 * blob).
 *
 * Everything a graph points to lives in its arena, or in bytes its owner keeps mapped. Value and node ids are
 * indices and stay valid; passes mark nodes dead (op stays, `dead` set) and qvk__graph_compact drops them.
 */
#ifndef QVK__GRAPH_H
#define QVK__GRAPH_H

#include "core/op.h"

typedef struct qvk__constant qvk__constant;

/* Who holds the bytes of a constant and lends them for a while. */
typedef struct qvk__lender {
    qvk_status (*lend)(const qvk__constant *constant, const void **out, qvk_error *err);
    void (*take_back)(const qvk__constant *constant, const void *bytes);
    const void *context;
} qvk__lender;

/*
 * Bytes of a constant tensor, contiguous in C order, little-endian. Either present (`data`, borrowed or in
 * the arena), or made on demand by `fill` (quantized weights of a big model stream through: made when
 * written, never all held), or asked of a `lender` each time. Tied tensors share one qvk__constant.
 */
struct qvk__constant {
    const void *data; /* NULL when made by fill or lent */
    uint64_t bytes;
    const char *name; /* fully qualified name in the exported program, or the key in a .pte's named data; may
                         be NULL */
    /* Writes `bytes` bytes to dst. */
    qvk_status (*fill)(const qvk__constant *constant, void *dst, qvk_error *err);
    /* Where any rows can be made without the others, instead of fill: writes rows [begin, end), of row_bytes
     * bytes each, to dst. Called from several threads at once. */
    qvk_status (*fill_rows)(const qvk__constant *constant, uint64_t begin, uint64_t end, void *dst,
                            qvk_error *err);
    uint64_t row_bytes; /* divides bytes */
    const void *fill_context;
    const qvk__lender *lender; /* NULL: none */
    /* A strided view of bigger storage (exported programs): then data is the storage and these say how to
     * read it. */
    bool strided;
    int32_t rank;
    int64_t sizes[QVK_MAX_RANK], strides[QVK_MAX_RANK], storage_offset; /* in elements */
    uint32_t element_bytes;
};

/* Contiguous bytes of a constant: `data` itself or lent where possible, else a malloc'ed copy. Release with
 * qvk__constant_release(constant, bytes). */
qvk_status qvk__constant_bytes(const qvk__constant *constant, const void **out, qvk_error *err);
void qvk__constant_release(const qvk__constant *constant, const void *bytes);
/* Can rows of this many bytes be had without the others? */
bool qvk__constant_has_rows(const qvk__constant *constant, uint64_t row_bytes);
/* Rows [begin, end) of one that can: *out is `data` itself or `buffer`, which has room for them. Thread-safe.
 */
qvk_status qvk__constant_rows(const qvk__constant *constant, uint64_t row_bytes, uint64_t begin, uint64_t end,
                              void *buffer, const void **out, qvk_error *err);

typedef enum qvk__value_kind {
    QVK__VALUE_TENSOR = 0,
    QVK__VALUE_SYMBOL /* an integer known at run time */
} qvk__value_kind;

typedef struct qvk__value {
    qvk__value_kind kind;
    const char *name; /* unique in the graph; printable */
    /* dtype, rank, sizes: exact when static, upper bounds when dynamic (the size at export where a symbol has
     * no upper bound); data unused. A SYMBOL has rank 0 and dtype NONE or I64 (integer), BOOL or F64. */
    qvk_tensor desc;
    int32_t syms[QVK_MAX_RANK];    /* symbolic size: index into the exported program's expressions, or -1 */
    int32_t sym;                   /* QVK__VALUE_SYMBOL: its expression, or -1 */
    int64_t symbol_value;          /* QVK__VALUE_SYMBOL: value recorded in the file */
    const qvk__constant *constant; /* non-NULL: constant (weight, buffer, lifted scalar) */
    bool is_mutable;               /* constant that the program writes (KV cache, buffer) */
    qvk_dtype host_dtype; /* blobs: dtype of the caller's tensor (staging); NONE: same as desc.dtype */
    /* Blobs: hints for ExecuTorch's runtime, kept for writing and otherwise ignored. Each is the file's
     * number plus one (storage_type, memory_layout, mem_obj_id); 0: not given. */
    uint16_t storage_hint, layout_hint;
    uint32_t memory_hint;
} qvk__value;

/* How a file wrote a call of an operator qvk does not know: enough to write it back. */
typedef struct qvk__foreign_arg {
    const char *name;
    const char
        *type; /* "ScalarType", "Layout", "MemoryFormat" or "Device" where the file says so, else NULL */
    bool keyword_only;
} qvk__foreign_arg;

typedef struct qvk__foreign {
    const qvk__foreign_arg *args; /* one an argument */
    bool returns_list;            /* the outputs are one tensor list */
} qvk__foreign;

typedef struct qvk__node {
    qvk__op op;
    const char *target; /* name as written in the file; needed when op is QVK__OP_NONE */
    const char *name;   /* for messages; may be NULL */
    const char *
        trace; /* where in the user's model: stack trace or module path of the file's metadata; may be NULL */
    qvk__arg *args; /* normalised: positional, all parameters of the schema, defaults filled in */
    int32_t n_args;
    int32_t *outs; /* value ids; -1: not used */
    int32_t n_outs;
    const qvk__foreign *foreign; /* set only when op is QVK__OP_NONE; may be NULL then too */
    bool dead;
} qvk__node;

typedef struct qvk__graph {
    qvk__arena arena;
    QVK__VEC(qvk__value) values;
    QVK__VEC(qvk__node) nodes;
    QVK__VEC(int32_t) inputs;  /* value ids of what the caller passes */
    QVK__VEC(int32_t) outputs; /* value ids; a constant or an input may be an output */
} qvk__graph;

void qvk__graph_init(qvk__graph *graph);
void qvk__graph_finish(qvk__graph *graph);

/* -1 when memory runs out. `name` is copied; NULL makes one ("v12"). desc NULL: a symbol. */
int32_t qvk__graph_add_value(qvk__graph *graph, const char *name, const qvk_tensor *desc);
/* Appends a node; args and outs are copied (list arguments deeply). -1 when memory runs out. */
int32_t qvk__graph_add_node(qvk__graph *graph, qvk__op op, const char *name, const qvk__arg *args, int n_args,
                            const int32_t *outs, int n_outs);
/* Deep copy of an argument into the arena; false when memory runs out. */
bool qvk__graph_copy_arg(qvk__graph *graph, const qvk__arg *from, qvk__arg *to);
/* A graph of its own with the live nodes of another: values, nodes and arguments are copied and may be
 * changed; constants and texts are borrowed from the original, which must outlive the copy. */
qvk_status qvk__graph_clone(const qvk__graph *graph, qvk__graph *out, qvk_error *err);
/* Calls visit(value id) for every VALUE in an argument, lists included. */
void qvk__arg_visit_values(const qvk__arg *arg, void (*visit)(int32_t value, void *user), void *user);
/* The same for all arguments of a node, and for those that its operator writes in place. */
void qvk__node_visit_args(const qvk__node *node, void (*visit)(int32_t value, void *user), void *user);
void qvk__node_visit_written(const qvk__node *node, void (*visit)(int32_t value, void *user), void *user);
/* Marks values that nodes write in place, in `written` (one flag a value, false before): named by the
 * operator, or by an output that is already there, as an input, a constant or another node's. */
qvk_status qvk__graph_find_written(const qvk__graph *graph, bool *written, qvk_error *err);
/* Replaces uses of value `from` by `to` in all live nodes and graph outputs. */
void qvk__graph_replace_value(qvk__graph *graph, int32_t from, int32_t to);
/* Drops dead nodes; value ids stay. */
void qvk__graph_compact(qvk__graph *graph);
/* Marks nodes dead whose outputs nobody uses (operators that write their arguments stay). Returns how many.
 */
int qvk__graph_eliminate_dead(qvk__graph *graph);
/* Index of the node that produces a value, -1 for inputs and constants; O(nodes). */
int32_t qvk__graph_producer(const qvk__graph *graph, int32_t value);
/* How many live node arguments and graph outputs refer to a value. */
int qvk__graph_use_count(const qvk__graph *graph, int32_t value);

/* Order, ids in range, argument count and kinds against the schema; a value may be written again (state).
 * Names the first offence. */
qvk_status qvk__graph_verify(const qvk__graph *graph, qvk_error *err);
/* Readable listing, a line a node: `%12: float32[32, 64] = aten.linear.default(%x, %weight, None)`. */
void qvk__graph_print(const qvk__graph *graph, qvk__string *out);

/* Names with how often they occur, in order of first occurrence. */
typedef struct qvk__tally {
    const char *name;
    uint32_t count;
} qvk__tally;
/* Operators of the live nodes; malloc'ed, NULL when memory runs out. */
qvk__tally *qvk__tally_nodes(const qvk__graph *graph, size_t *count);
/* Bytes of constants, tied ones once, and how many different ones there are. Sorts the array. */
uint64_t qvk__constants_bytes(const qvk__constant **constants, size_t n, uint32_t *count);
/* The same for all constants of a graph. */
uint64_t qvk__graph_constant_bytes(const qvk__graph *graph, uint32_t *count);

/* Args of a node with VALUEs turned into TENSORs/INTs through `resolve`; lists included. Memory from `arena`.
 */
typedef struct qvk__resolver {
    /* Descriptor (with data when executing) of a tensor value, or NULL when it is a symbol. */
    const qvk_tensor *(*tensor)(void *user, int32_t value);
    int64_t (*symbol)(void *user, int32_t value);
    void *user;
} qvk__resolver;
bool qvk__args_resolve(const qvk__arg *args, int n_args, const qvk__resolver *resolver, qvk__arena *arena,
                       qvk__arg *out);

#endif
