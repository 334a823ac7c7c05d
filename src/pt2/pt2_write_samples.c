/* Sample inputs as torch.save writes them: a zip archive with a pickle (protocol 2) and one file a storage.
 */
#include <stdio.h>

#include "core/dtype.h"
#include "pt2/json.h"
#include "pt2/pt2_writer.h"
#include "pt2/zip_write.h"

enum { MAX_DEPTH = 64 };

typedef struct pickler {
    const qvk__exported *program;
    qvk__string *out;
    size_t input;  /* next placeholder */
    size_t sample; /* next sample */
    bool fits;     /* the call is made of what we write, and has as many leaves as inputs */
} pickler;

/* ---- pickle opcodes ------------------------------------------------------------------------------------ */

static void put_bytes(pickler *p, const void *bytes, size_t count)
{
    qvk__string *out = p->out;

    if (out->failed || !qvk__vec_reserve((void **)&out->data, &out->capacity, out->count + count + 1, 1)) {
        out->failed = true;
        return;
    }
    memcpy(out->data + out->count, bytes, count);
    out->count += count;
}

static void put_op(pickler *p, char opcode)
{
    put_bytes(p, &opcode, 1);
}

static void put_int(pickler *p, int64_t value)
{
    uint8_t bytes[10] = {0x8a, 8}; /* LONG1 of 8 bytes; BININT where it fits */
    int count = 10, start = 2;

    if (value >= INT32_MIN && value <= INT32_MAX) {
        bytes[0] = 'J';
        count = 5;
        start = 1;
    }
    for (int i = start; i < count; i++)
        bytes[i] = (uint8_t)((uint64_t)value >> (8 * (i - start)));
    put_bytes(p, bytes, (size_t)count);
}

static void put_float(pickler *p, double value)
{
    uint8_t bytes[9] = {'G'};
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    for (int i = 0; i < 8; i++)
        bytes[1 + i] = (uint8_t)(bits >> (8 * (7 - i)));
    put_bytes(p, bytes, sizeof bytes);
}

static void put_string(pickler *p, const char *text)
{
    size_t length = strlen(text);
    uint8_t head[5] = {'X'};

    for (int i = 0; i < 4; i++)
        head[1 + i] = (uint8_t)(length >> (8 * i));
    put_bytes(p, head, sizeof head);
    put_bytes(p, text, length);
}

static void put_bool(pickler *p, bool value)
{
    put_op(p, (char)(value ? 0x88 : 0x89));
}

static void put_global(pickler *p, const char *module, const char *name)
{
    qvk__string_addf(p->out, "c%s\n%s\n", module, name);
}

static void put_dims(pickler *p, const int64_t *dims, int count)
{
    put_op(p, '(');
    for (int i = 0; i < count; i++)
        put_int(p, dims[i]);
    put_op(p, 't');
}

/* ---- values -------------------------------------------------------------------------------------------- */

static const char *storage_name(qvk_dtype dtype)
{
    switch (dtype) {
    case QVK_DTYPE_F32: return "FloatStorage";
    case QVK_DTYPE_F16: return "HalfStorage";
    case QVK_DTYPE_BF16: return "BFloat16Storage";
    case QVK_DTYPE_F64: return "DoubleStorage";
    case QVK_DTYPE_I8: return "CharStorage";
    case QVK_DTYPE_U8: return "ByteStorage";
    case QVK_DTYPE_I16: return "ShortStorage";
    case QVK_DTYPE_I32: return "IntStorage";
    case QVK_DTYPE_I64: return "LongStorage";
    default: return "BoolStorage";
    }
}

/* torch._utils._rebuild_tensor_v2(storage, 0, size, stride, False, OrderedDict()) */
static void put_tensor(pickler *p, const qvk_tensor *tensor, size_t key)
{
    int64_t strides[QVK_MAX_RANK];
    char text[24];

    qvk__strides(tensor, strides);
    snprintf(text, sizeof text, "%zu", key);
    put_global(p, "torch._utils", "_rebuild_tensor_v2");
    put_op(p, '(');
    put_op(p, '(');
    put_string(p, "storage");
    put_global(p, "torch", storage_name(tensor->dtype));
    put_string(p, text);
    put_string(p, "cpu");
    put_int(p, qvk_tensor_numel(tensor));
    put_op(p, 't');
    put_op(p, 'Q');
    put_int(p, 0);
    put_dims(p, tensor->sizes, tensor->rank);
    put_dims(p, strides, tensor->rank);
    put_bool(p, false);
    put_global(p, "collections", "OrderedDict");
    put_op(p, ')');
    put_op(p, 'R');
    put_op(p, 't');
    put_op(p, 'R');
}

static void put_literal(pickler *p, const qvk__arg *literal)
{
    switch (literal->kind) {
    case QVK__ARG_NULL: put_op(p, 'N'); break;
    case QVK__ARG_INT: put_int(p, literal->u.i); break;
    case QVK__ARG_FLOAT: put_float(p, literal->u.f); break;
    case QVK__ARG_BOOL: put_bool(p, literal->u.b); break;
    case QVK__ARG_STRING: put_string(p, literal->u.s); break;
    default: p->fits = false;
    }
}

/* The next input of the call. */
static void put_leaf(pickler *p)
{
    const qvk__exported *program = p->program;
    const qvk__input_spec *spec;
    const qvk_tensor *sample;

    while (p->input < program->inputs.count && program->inputs.data[p->input].kind != QVK__INPUT_USER &&
           program->inputs.data[p->input].kind != QVK__INPUT_LITERAL)
        p->input++;
    if (p->input == program->inputs.count) {
        p->fits = false;
        return;
    }
    spec = &program->inputs.data[p->input++];
    if (spec->kind == QVK__INPUT_LITERAL) {
        put_literal(p, &spec->literal);
        return;
    }
    if (p->sample == program->samples.count) {
        p->fits = false;
        return;
    }
    sample = &program->samples.data[p->sample];
    if (program->graph.values.data[spec->value].kind == QVK__VALUE_SYMBOL)
        put_int(p, *(const int64_t *)sample->data);
    else
        put_tensor(p, sample, p->sample);
    p->sample++;
}

/* ---- structure ----------------------------------------------------------------------------------------- */

static void put_node(pickler *p, const qvk__json *spec, int depth);

static void put_children(pickler *p, const qvk__json *spec, const qvk__json *keys, int depth)
{
    qvk__json children;
    size_t count, n_keys;

    if (qvk__json_get_array(spec, "children_spec", &children, &count, NULL) != QVK_OK ||
        (keys && (qvk__json_array(keys, &n_keys, NULL) != QVK_OK || n_keys != count))) {
        p->fits = false;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        qvk__json child = qvk__json_element(&children, i);
        if (keys) {
            qvk__json key = qvk__json_element(keys, i);
            const char *text = NULL;
            p->fits &= qvk__json_string(&key, &text, NULL) == QVK_OK;
            put_string(p, text ? text : "");
        }
        put_node(p, &child, depth + 1);
    }
}

/* The context of a dict is a JSON list of its keys, as text. */
static void put_dict(pickler *p, const qvk__json *spec, int depth)
{
    const char *context;
    qvk__json keys;

    if (qvk__json_get_string(spec, "context", &context, NULL) != QVK_OK ||
        qvk__json_parse(context, strlen(context), "context", &keys, NULL) != QVK_OK) {
        p->fits = false;
        return;
    }
    put_op(p, '}');
    put_op(p, '(');
    put_children(p, spec, &keys, depth);
    put_op(p, 'u');
    qvk__json_finish(&keys);
}

static void put_node(pickler *p, const qvk__json *spec, int depth)
{
    qvk__json type;
    const char *name;

    if (!qvk__json_find(spec, "type", &type)) {
        put_leaf(p);
        return;
    }
    if (depth > MAX_DEPTH || qvk__json_string(&type, &name, NULL) != QVK_OK) {
        p->fits = false;
    } else if (strcmp(name, "builtins.tuple") == 0) {
        put_op(p, '(');
        put_children(p, spec, NULL, depth);
        put_op(p, 't');
    } else if (strcmp(name, "builtins.list") == 0) {
        put_op(p, ']');
        put_op(p, '(');
        put_children(p, spec, NULL, depth);
        put_op(p, 'e');
    } else if (strcmp(name, "builtins.dict") == 0) {
        put_dict(p, spec, depth);
    } else {
        p->fits = false;
    }
}

/* Pickles the call; false when it is one we cannot write. */
static bool put_call(pickler *p)
{
    qvk__string spec = {0};
    qvk__json document, root;
    size_t count;

    qvk__pt2_in_spec(p->program, &spec);
    p->fits = !spec.failed && qvk__json_parse(spec.data, spec.count, "in_spec", &document, NULL) == QVK_OK;
    free(spec.data);
    if (!p->fits)
        return false;
    put_bytes(p, "\x80\x02", 2);
    if (qvk__json_array(&document, &count, NULL) == QVK_OK && count == 2) {
        root = qvk__json_element(&document, 1);
        put_node(p, &root, 0);
    } else {
        p->fits = false;
    }
    put_op(p, '.');
    qvk__json_finish(&document);
    return p->fits && p->sample == p->program->samples.count;
}

/* ---- the archive --------------------------------------------------------------------------------------- */

static qvk_status write_archive(const qvk__exported *program, const qvk__string *pickle, qvk__zip_writer *zip,
                                qvk_error *err)
{
    char name[32];

    QVK__TRY(qvk__zip_entry_write(zip, "data.pkl", pickle->data, pickle->count, err));
    QVK__TRY(qvk__zip_entry_write(zip, ".format_version", "1", 1, err));
    QVK__TRY(qvk__zip_entry_write(zip, ".storage_alignment", "64", 2, err));
    QVK__TRY(qvk__zip_entry_write(zip, "byteorder", "little", 6, err));
    for (size_t i = 0; i < program->samples.count; i++) {
        const qvk_tensor *sample = &program->samples.data[i];
        snprintf(name, sizeof name, "data/%zu", i);
        QVK__TRY(qvk__zip_entry_write(zip, name, sample->data, qvk_tensor_bytes(sample), err));
    }
    QVK__TRY(qvk__zip_entry_write(zip, "version", "3\n", 2, err));
    QVK__TRY(qvk__zip_entry_write(zip, ".data/serialization_id", "0000000000000000000000000000000000000000",
                                  40, err));
    return qvk__zip_write_directory(zip, err);
}

qvk_status qvk__pt2_write_samples(const qvk__exported *program, qvk__string *out, qvk_error *err)
{
    qvk__string pickle = {0};
    pickler p = {.program = program, .out = &pickle};
    qvk_status status = QVK_OK;
    qvk__zip_writer zip;

    qvk__zip_writer_init(&zip, NULL, out, "archive/");
    if (program->samples.count == 0 || !put_call(&p))
        goto done;
    QVK__CHECK_GO(!pickle.failed, err, QVK_OUT_OF_MEMORY, "out of memory");
    QVK__TRY_GO(write_archive(program, &pickle, &zip, err));
done:
    qvk__zip_writer_finish(&zip);
    free(pickle.data);
    return status;
}
