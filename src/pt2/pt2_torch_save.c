/* torch.save archives inside a .pt2: tensors, tensor subclasses, dicts of tensors, sample inputs. */
#include "pt2/pickle.h"
#include "pt2/pt2_reader.h"

enum { MAX_SAMPLES = 4096, MAX_VISITS = 1 << 16, MAX_DEPTH = 64 };

typedef struct saved_archive {
    qvk__pt2_reader *reader;
    qvk__zip zip;
    const qvk__pickle *root;
    const char *name;
} saved_archive;

static qvk_status open_archive(qvk__pt2_reader *reader, const char *entry, saved_archive *out, qvk_error *err)
{
    const uint8_t *data, *pickle;
    const qvk__zip_entry *order;
    uint64_t bytes, pickle_bytes;
    qvk_status status;

    QVK__TRY(qvk__zip_get(&reader->zip, entry, &data, &bytes, err));
    out->reader = reader;
    out->name = entry;
    QVK__TRY(qvk__zip_open(data, bytes, entry, &reader->program->graph.arena, &out->zip, err));
    order = qvk__zip_find(&out->zip, "byteorder");
    QVK__CHECK_GO(!order || !order->data || order->bytes != 3 || memcmp(order->data, "big", 3) != 0, err,
                  QVK_UNSUPPORTED, "%s: saved on a big-endian machine", entry);
    QVK__TRY_GO(qvk__zip_get(&out->zip, "data.pkl", &pickle, &pickle_bytes, err));
    QVK__TRY_GO(qvk__pickle_read(pickle, pickle_bytes, entry, &reader->scratch, &out->root, err));
    return QVK_OK;
done:
    qvk__zip_close(&out->zip);
    return status;
}

/* ---- tensors ------------------------------------------------------------------------------------------- */

static qvk_dtype storage_dtype(const qvk__pickle *type)
{
    static const struct {
        const char *name;
        qvk_dtype dtype;
    } storages[] = {
        {"torch FloatStorage", QVK_DTYPE_F32},     {"torch HalfStorage", QVK_DTYPE_F16},
        {"torch BFloat16Storage", QVK_DTYPE_BF16}, {"torch DoubleStorage", QVK_DTYPE_F64},
        {"torch CharStorage", QVK_DTYPE_I8},       {"torch ByteStorage", QVK_DTYPE_U8},
        {"torch ShortStorage", QVK_DTYPE_I16},     {"torch IntStorage", QVK_DTYPE_I32},
        {"torch LongStorage", QVK_DTYPE_I64},      {"torch BoolStorage", QVK_DTYPE_BOOL},
    };
    for (size_t i = 0; i < QVK__COUNT(storages); i++)
        if (qvk__pickle_is_global(type, storages[i].name))
            return storages[i].dtype;
    return QVK_DTYPE_NONE;
}

static bool read_dims(const qvk__pickle *tuple, int64_t out[QVK_MAX_RANK])
{
    if (tuple->kind != QVK__PICKLE_TUPLE || tuple->count > QVK_MAX_RANK)
        return false;
    for (size_t i = 0; i < tuple->count; i++) {
        if (tuple->items[i]->kind != QVK__PICKLE_INT || tuple->items[i]->i < 0)
            return false;
        out[i] = tuple->items[i]->i;
    }
    return true;
}

/* ('storage', torch.FloatStorage, key, location, numel) */
static qvk_status find_storage(saved_archive *archive, const qvk__pickle *reference, qvk_dtype *dtype,
                               const uint8_t **data, uint64_t *bytes, qvk_error *err)
{
    const qvk__pickle *id = reference->kind == QVK__PICKLE_PERSISTENT ? reference->items[0] : NULL;
    char name[128];

    QVK__CHECK(id && id->kind == QVK__PICKLE_TUPLE && id->count >= 3 &&
                   id->items[0]->kind == QVK__PICKLE_STRING && strcmp(id->items[0]->s, "storage") == 0 &&
                   id->items[2]->kind == QVK__PICKLE_STRING && strlen(id->items[2]->s) < 100,
               err, QVK_BAD_FORMAT, "%s: a tensor's storage is no reference", archive->name);
    *dtype = storage_dtype(id->items[1]);
    QVK__CHECK(*dtype != QVK_DTYPE_NONE, err, QVK_UNSUPPORTED, "%s: a tensor with storage %s", archive->name,
               id->items[1]->kind == QVK__PICKLE_GLOBAL ? id->items[1]->s : "of no known kind");
    strcpy(name, "data/");
    strcat(name, id->items[2]->s);
    return qvk__zip_get(&archive->zip, name, data, bytes, err);
}

/* args: (storage, offset, size, stride, requires_grad, ...) of torch._utils._rebuild_tensor_v2. */
static qvk_status read_plain_tensor(saved_archive *archive, const char *what, const qvk__pickle *const *args,
                                    qvk__pt2_tensor *out, qvk_error *err)
{
    qvk__pt2_layout layout = {0};
    const uint8_t *data;
    uint64_t bytes;

    QVK__TRY(find_storage(archive, args[0], &layout.desc.dtype, &data, &bytes, err));
    QVK__CHECK(args[1]->kind == QVK__PICKLE_INT && read_dims(args[2], layout.desc.sizes) &&
                   read_dims(args[3], layout.strides) && args[2]->count == args[3]->count,
               err, QVK_BAD_FORMAT, "%s: %s: a tensor's sizes and strides make no sense", archive->name,
               what);
    layout.desc.rank = (int32_t)args[2]->count;
    layout.storage_offset = args[1]->i;
    QVK__CHECK(qvk_tensor_numel(&layout.desc) >= 0 &&
                   (qvk_tensor_numel(&layout.desc) == 0 || qvk_tensor_bytes(&layout.desc) > 0),
               err, QVK_BAD_FORMAT, "%s: %s: the shape is too large", archive->name, what);
    out->desc = layout.desc;
    out->requires_grad = args[4]->i != 0;
    return qvk__pt2_view_storage(archive->reader, what, &layout, data, bytes, &out->constant, err);
}

static qvk_status read_tensor(saved_archive *archive, const char *what, const qvk__pickle *value,
                              qvk__pt2_tensor *out, qvk_error *err)
{
    const qvk__pickle *const *args;

    if (qvk__pickle_is_call(value, "torch._utils _rebuild_parameter", 2, &args)) {
        bool requires_grad = args[1]->i != 0;
        QVK__CHECK(qvk__pickle_is_call(args[0], "torch._utils _rebuild_tensor_v2", 5, &args), err,
                   QVK_UNSUPPORTED, "%s: %s is no plain tensor", archive->name, what);
        QVK__TRY(read_plain_tensor(archive, what, args, out, err));
        out->requires_grad = requires_grad;
        return QVK_OK;
    }
    /* A plain tensor with extra Python attributes. */
    if (qvk__pickle_is_call(value, "torch._tensor _rebuild_from_type_v2", 3, &args) &&
        qvk__pickle_is_global(args[0], "torch._utils _rebuild_tensor_v2") &&
        args[2]->kind == QVK__PICKLE_TUPLE && args[2]->count >= 5)
        return read_plain_tensor(archive, what, args[2]->items, out, err);
    QVK__CHECK(qvk__pickle_is_call(value, "torch._utils _rebuild_tensor_v2", 5, &args), err, QVK_UNSUPPORTED,
               "%s: %s is no plain tensor", archive->name, what);
    return read_plain_tensor(archive, what, args, out, err);
}

/*
 * A wrapper subclass (torchao's IntxUnpackedToInt8Tensor):
 * _rebuild_from_type_v2(_rebuild_wrapper_subclass, cls, args, {attribute: value}); its tensors are among the
 * attributes. *state is NULL when it is none.
 */
static const qvk__pickle *subclass_state(const qvk__pickle *value)
{
    const qvk__pickle *const *args;

    if (!qvk__pickle_is_call(value, "torch._tensor _rebuild_from_type_v2", 4, &args) ||
        !qvk__pickle_is_global(args[0], "torch._utils _rebuild_wrapper_subclass") ||
        args[3]->kind != QVK__PICKLE_DICT)
        return NULL;
    return args[3];
}

static qvk_status read_subclass(saved_archive *archive, const qvk__pickle *state, qvk__pt2_payload *out,
                                qvk_error *err)
{
    size_t used = 0;

    out->inner = qvk__arena_alloc(&archive->reader->scratch, state->count / 2, sizeof *out->inner);
    QVK__CHECK(out->inner, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (size_t i = 0; i + 1 < state->count; i += 2) {
        const qvk__pickle *key = state->items[i], *value = state->items[i + 1];
        if (key->kind != QVK__PICKLE_STRING || value->kind != QVK__PICKLE_CALL ||
            !(qvk__starts_with(value->items[0]->kind == QVK__PICKLE_GLOBAL ? value->items[0]->s : "",
                               "torch._utils _rebuild") ||
              qvk__pickle_is_global(value->items[0], "torch._tensor _rebuild_from_type_v2")))
            continue;
        out->inner[used].name = key->s;
        QVK__TRY(read_tensor(archive, key->s, value, &out->inner[used].tensor, err));
        used++;
    }
    QVK__CHECK(used > 0, err, QVK_UNSUPPORTED, "%s: a tensor subclass without tensors", archive->name);
    out->n_inner = used;
    return QVK_OK;
}

static qvk_status read_value(saved_archive *archive, const qvk__pickle *value, qvk__pt2_payload *out,
                             qvk_error *err)
{
    const qvk__pickle *state = subclass_state(value);
    qvk_status status = state ? read_subclass(archive, state, out, err)
                              : read_tensor(archive, out->fqn, value, &out->tensor, err);

    if (status == QVK_UNSUPPORTED)
        qvk__error_context(
            err, status,
            "%s is stored as a pickled object (torchao weights: call unwrap_tensor_subclass(model) "
            "before torch.export.export)",
            out->fqn);
    return status;
}

qvk_status qvk__pt2_read_saved_tensor(qvk__pt2_reader *reader, const char *entry, qvk__pt2_payload *out,
                                      qvk_error *err)
{
    saved_archive archive;
    qvk_status status;

    QVK__TRY(open_archive(reader, entry, &archive, err));
    status = read_value(&archive, archive.root, out, err);
    qvk__zip_close(&archive.zip);
    return status;
}

/* ---- dicts --------------------------------------------------------------------------------------------- */

/* A dict, or an OrderedDict: collections.OrderedDict() filled item by item becomes a call with no items, so
 * only the former occurs in exported programs. */
static qvk_status read_dict(saved_archive *archive, qvk_error *err)
{
    const qvk__pickle *root = archive->root;

    QVK__CHECK(root->kind == QVK__PICKLE_DICT, err, QVK_BAD_FORMAT, "%s: holds no dict", archive->name);
    for (size_t i = 0; i + 1 < root->count; i += 2) {
        qvk__pt2_payload payload = {0};
        qvk_error failure;
        qvk_status status;
        QVK__CHECK(root->items[i]->kind == QVK__PICKLE_STRING, err, QVK_BAD_FORMAT, "%s: a key is no string",
                   archive->name);
        payload.fqn = root->items[i]->s;
        status = read_value(archive, root->items[i + 1], &payload, &failure);
        if (status == QVK_UNSUPPORTED) {
            payload.refusal = qvk__arena_strdup(&archive->reader->scratch, failure.message);
        } else if (status != QVK_OK) {
            if (err)
                *err = failure;
            return status;
        }
        QVK__TRY(qvk__pt2_add_payload(archive->reader, &payload, err));
    }
    return QVK_OK;
}

qvk_status qvk__pt2_read_saved_dict(qvk__pt2_reader *reader, const char *entry, qvk_error *err)
{
    saved_archive archive;
    qvk_status status;

    QVK__TRY(open_archive(reader, entry, &archive, err));
    status = read_dict(&archive, err);
    qvk__zip_close(&archive.zip);
    return status;
}

/* ---- sample inputs ------------------------------------------------------------------------------------- */

typedef QVK__VEC(const qvk__pickle *) leaf_list;

/* Leaves as torch's pytree orders them: tuples and lists by position, dicts by insertion. */
static bool flatten(const qvk__pickle *value, int depth, int *visits, leaf_list *leaves)
{
    bool dict = value->kind == QVK__PICKLE_DICT;

    if (depth > MAX_DEPTH || ++*visits > MAX_VISITS || leaves->count > MAX_SAMPLES)
        return false;
    if (!dict && value->kind != QVK__PICKLE_TUPLE && value->kind != QVK__PICKLE_LIST)
        return QVK__VEC_PUSH(leaves, value);
    for (size_t i = dict; i < value->count; i += dict ? 2 : 1)
        if (!flatten(value->items[i], depth + 1, visits, leaves))
            return false;
    return true;
}

static qvk_status copy_sample(saved_archive *archive, const qvk__pickle *leaf, const qvk__value *value,
                              qvk_tensor *out, qvk_error *err)
{
    qvk__arena *arena = &archive->reader->program->graph.arena;
    qvk__pt2_tensor tensor;
    const void *bytes;

    memset(out, 0, sizeof *out);
    if (value->kind == QVK__VALUE_SYMBOL) {
        QVK__CHECK(leaf->kind == QVK__PICKLE_INT || leaf->kind == QVK__PICKLE_BOOL, err, QVK_UNSUPPORTED,
                   "%s: a symbolic number without a sample", archive->name);
        out->dtype = QVK_DTYPE_I64;
        out->data = qvk__arena_memdup(arena, &leaf->i, sizeof leaf->i);
        QVK__CHECK(out->data, err, QVK_OUT_OF_MEMORY, "out of memory");
        return QVK_OK;
    }
    QVK__TRY(read_tensor(archive, value->name, leaf, &tensor, err));
    QVK__CHECK(tensor.desc.dtype == value->desc.dtype && tensor.desc.rank == value->desc.rank, err,
               QVK_UNSUPPORTED, "%s: the sample of %s is of another kind", archive->name, value->name);
    *out = tensor.desc;
    QVK__TRY(qvk__constant_bytes(tensor.constant, &bytes, err));
    out->data = qvk__arena_memdup(arena, bytes, (size_t)tensor.constant->bytes);
    qvk__constant_release(tensor.constant, bytes);
    QVK__CHECK(out->data, err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

/* One leaf an input, the numbers among them skipped: they are part of the program. */
static qvk_status match_samples(saved_archive *archive, const leaf_list *leaves, qvk_error *err)
{
    qvk__exported *program = archive->reader->program;
    size_t leaf = 0;

    for (size_t i = 0; i < program->inputs.count; i++) {
        const qvk__input_spec *spec = &program->inputs.data[i];
        qvk_tensor sample;
        if (spec->kind != QVK__INPUT_USER && spec->kind != QVK__INPUT_LITERAL)
            continue;
        QVK__CHECK(leaf < leaves->count, err, QVK_UNSUPPORTED, "%s: too few sample inputs", archive->name);
        if (spec->kind == QVK__INPUT_USER) {
            QVK__TRY(copy_sample(archive, leaves->data[leaf], &program->graph.values.data[spec->value],
                                 &sample, err));
            QVK__CHECK(QVK__VEC_PUSH(&program->samples, sample), err, QVK_OUT_OF_MEMORY, "out of memory");
        }
        leaf++;
    }
    QVK__CHECK(leaf == leaves->count, err, QVK_UNSUPPORTED, "%s: too many sample inputs", archive->name);
    return QVK_OK;
}

qvk_status qvk__pt2_read_samples(qvk__pt2_reader *reader, const char *entry, qvk_error *err)
{
    const qvk__zip_entry *there = qvk__zip_find(&reader->zip, entry);
    leaf_list leaves = {0};
    qvk_status status;
    saved_archive archive;
    int visits = 0;

    if (!there || there->bytes == 0)
        return QVK_OK;
    QVK__TRY(open_archive(reader, entry, &archive, err));
    QVK__CHECK_GO(flatten(archive.root, 0, &visits, &leaves), err, QVK_UNSUPPORTED,
                  "%s: nested too deep, or too many sample inputs", entry);
    QVK__TRY_GO(match_samples(&archive, &leaves, err));
done:
    if (status != QVK_OK)
        reader->program->samples.count = 0;
    free(leaves.data);
    qvk__zip_close(&archive.zip);
    return status;
}
