/* The pickle machine: a stack, marks and a memo. Source: Lib/pickle.py, Lib/pickletools.py. */
#include "pt2/pickle.h"

enum { MAX_MEMO = 1 << 22 };

typedef struct machine {
    const uint8_t *data;
    uint64_t bytes, at;
    const char *what;
    qvk__arena *arena;
    qvk_error *err;
    QVK__VEC(qvk__pickle *) stack;
    QVK__VEC(size_t) marks;
    QVK__VEC(qvk__pickle *) memo;
} machine;

static qvk_status fail(const machine *m, const char *why)
{
    qvk__fail_at(m->err, QVK_BAD_FORMAT, m->at, "%s: pickle, byte %llu: %s", m->what,
                 (unsigned long long)m->at, why);
    return QVK_BAD_FORMAT;
}

static qvk_status no_memory(const machine *m)
{
    qvk__fail(m->err, QVK_OUT_OF_MEMORY, "%s: out of memory", m->what);
    return QVK_OUT_OF_MEMORY;
}

/* ---- bytes --------------------------------------------------------------------------------------------- */

static qvk_status take(machine *m, uint64_t count, const uint8_t **out)
{
    if (count > m->bytes - m->at)
        return fail(m, "ends too early");
    *out = m->data + m->at;
    m->at += count;
    return QVK_OK;
}

/* Little-endian, `count` <= 8 bytes, unsigned. */
static qvk_status take_number(machine *m, int count, uint64_t *out)
{
    const uint8_t *bytes;

    QVK__TRY(take(m, (uint64_t)count, &bytes));
    *out = 0;
    for (int i = 0; i < count; i++)
        *out |= (uint64_t)bytes[i] << (8 * i);
    return QVK_OK;
}

/* ---- stack --------------------------------------------------------------------------------------------- */

static qvk_status push(machine *m, qvk__pickle *value)
{
    return value && QVK__VEC_PUSH(&m->stack, value) ? QVK_OK : no_memory(m);
}

static qvk_status push_new(machine *m, qvk__pickle_kind kind, qvk__pickle **out)
{
    *out = qvk__arena_alloc(m->arena, 1, sizeof **out);
    if (*out)
        (*out)->kind = kind;
    return push(m, *out);
}

static size_t floor_of(const machine *m)
{
    return m->marks.count ? m->marks.data[m->marks.count - 1] : 0;
}

static qvk_status pop(machine *m, qvk__pickle **out)
{
    if (m->stack.count <= floor_of(m))
        return fail(m, "the stack is empty");
    *out = m->stack.data[--m->stack.count];
    return QVK_OK;
}

static qvk_status top(machine *m, qvk__pickle **out)
{
    QVK__TRY(pop(m, out));
    m->stack.count++;
    return QVK_OK;
}

static qvk_status append(machine *m, qvk__pickle *to, const qvk__pickle *item)
{
    if (to->count == to->capacity) {
        size_t capacity = to->capacity ? 2 * to->capacity : 4;
        const qvk__pickle **grown = qvk__arena_alloc(m->arena, capacity, sizeof *grown);
        if (!grown)
            return no_memory(m);
        if (to->count)
            memcpy(grown, to->items, to->count * sizeof *grown);
        to->items = grown;
        to->capacity = capacity;
    }
    to->items[to->count++] = item;
    return QVK_OK;
}

/* Moves what lies above the last mark into `to`, and drops the mark. */
static qvk_status append_marked(machine *m, qvk__pickle *to, size_t first)
{
    for (size_t i = first; i < m->stack.count; i++)
        QVK__TRY(append(m, to, m->stack.data[i]));
    m->stack.count = first;
    return QVK_OK;
}

static qvk_status pop_mark(machine *m, size_t *first)
{
    if (m->marks.count == 0)
        return fail(m, "no mark");
    *first = m->marks.data[--m->marks.count];
    return QVK_OK;
}

static qvk_status make_tuple(machine *m, size_t first)
{
    qvk__pickle *tuple = qvk__arena_alloc(m->arena, 1, sizeof *tuple);

    if (!tuple)
        return no_memory(m);
    tuple->kind = QVK__PICKLE_TUPLE;
    QVK__TRY(append_marked(m, tuple, first));
    return push(m, tuple);
}

static qvk_status make_short_tuple(machine *m, size_t count)
{
    if (m->stack.count - floor_of(m) < count)
        return fail(m, "the stack is empty");
    return make_tuple(m, m->stack.count - count);
}

/* Adds what lies above the mark, or the top `count` values, to the list or dict below. */
static qvk_status extend(machine *m, qvk__pickle_kind kind, size_t first)
{
    if (first == 0 || first - 1 < floor_of(m) || m->stack.data[first - 1]->kind != kind)
        return fail(m, "no container to add to");
    if (kind == QVK__PICKLE_DICT && (m->stack.count - first) % 2 != 0)
        return fail(m, "a key without value");
    return append_marked(m, m->stack.data[first - 1], first);
}

static qvk_status extend_marked(machine *m, qvk__pickle_kind kind)
{
    size_t first;
    QVK__TRY(pop_mark(m, &first));
    return extend(m, kind, first);
}

static qvk_status extend_by(machine *m, qvk__pickle_kind kind, size_t count)
{
    if (m->stack.count - floor_of(m) < count)
        return fail(m, "the stack is empty");
    return extend(m, kind, m->stack.count - count);
}

/* ---- memo ---------------------------------------------------------------------------------------------- */

static qvk_status memo_put(machine *m, uint64_t index)
{
    qvk__pickle *value;

    QVK__TRY(top(m, &value));
    if (index >= MAX_MEMO)
        return fail(m, "the memo is too large");
    while (m->memo.count <= index)
        if (!QVK__VEC_PUSH(&m->memo, NULL))
            return no_memory(m);
    m->memo.data[index] = value;
    return QVK_OK;
}

static qvk_status memo_get(machine *m, uint64_t index)
{
    if (index >= m->memo.count || !m->memo.data[index])
        return fail(m, "not in the memo");
    return push(m, m->memo.data[index]);
}

/* ---- values -------------------------------------------------------------------------------------------- */

static qvk_status push_int(machine *m, int64_t value)
{
    qvk__pickle *made;
    QVK__TRY(push_new(m, QVK__PICKLE_INT, &made));
    made->i = value;
    return QVK_OK;
}

static qvk_status push_bool(machine *m, bool value)
{
    qvk__pickle *made;
    QVK__TRY(push_new(m, QVK__PICKLE_BOOL, &made));
    made->i = value;
    return QVK_OK;
}

/* Two's complement of any length, little-endian; what fits into 64 bits. */
static qvk_status push_long(machine *m)
{
    uint64_t count, value;

    QVK__TRY(take_number(m, 1, &count));
    if (count > 8)
        return fail(m, "an integer beyond 64 bits");
    QVK__TRY(take_number(m, (int)count, &value));
    if (count > 0 && count < 8 && value >> (8 * count - 1))
        value |= UINT64_MAX << (8 * count);
    return push_int(m, (int64_t)value);
}

static qvk_status push_float(machine *m)
{
    const uint8_t *bytes; /* big-endian */
    uint64_t bits = 0;
    qvk__pickle *made;

    QVK__TRY(take(m, 8, &bytes));
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | bytes[i];
    QVK__TRY(push_new(m, QVK__PICKLE_FLOAT, &made));
    memcpy(&made->f, &bits, sizeof bits);
    return QVK_OK;
}

static qvk_status push_string(machine *m, int length_bytes)
{
    uint64_t length;
    const uint8_t *text;
    qvk__pickle *made;

    QVK__TRY(take_number(m, length_bytes, &length));
    QVK__TRY(take(m, length, &text));
    QVK__TRY(push_new(m, QVK__PICKLE_STRING, &made));
    made->s = qvk__arena_strndup(m->arena, (const char *)text, (size_t)length);
    return made->s ? QVK_OK : no_memory(m);
}

/* One line, without its end. */
static qvk_status take_line(machine *m, const char **text, int *length)
{
    const uint8_t *start = m->data + m->at;
    const uint8_t *end = m->at < m->bytes ? memchr(start, '\n', (size_t)(m->bytes - m->at)) : NULL;

    if (!end || end - start > 1000)
        return fail(m, "a name does not end");
    *text = (const char *)start;
    *length = (int)(end - start);
    m->at += (uint64_t)(end - start) + 1;
    return QVK_OK;
}

static qvk_status push_global(machine *m)
{
    const char *module, *name;
    int module_length, name_length;
    qvk__pickle *made;

    QVK__TRY(take_line(m, &module, &module_length));
    QVK__TRY(take_line(m, &name, &name_length));
    QVK__TRY(push_new(m, QVK__PICKLE_GLOBAL, &made));
    made->s = qvk__arena_printf(m->arena, "%.*s %.*s", module_length, module, name_length, name);
    return made->s ? QVK_OK : no_memory(m);
}

static qvk_status push_stack_global(machine *m)
{
    qvk__pickle *module, *name, *made;

    QVK__TRY(pop(m, &name));
    QVK__TRY(pop(m, &module));
    if (module->kind != QVK__PICKLE_STRING || name->kind != QVK__PICKLE_STRING)
        return fail(m, "a name that is no string");
    QVK__TRY(push_new(m, QVK__PICKLE_GLOBAL, &made));
    made->s = qvk__arena_printf(m->arena, "%s %s", module->s, name->s);
    return made->s ? QVK_OK : no_memory(m);
}

static qvk_status push_call(machine *m)
{
    qvk__pickle *callable, *args, *made;

    QVK__TRY(pop(m, &args));
    QVK__TRY(pop(m, &callable));
    if (args->kind != QVK__PICKLE_TUPLE)
        return fail(m, "arguments that are no tuple");
    QVK__TRY(push_new(m, QVK__PICKLE_CALL, &made));
    QVK__TRY(append(m, made, callable));
    return append(m, made, args);
}

static qvk_status push_persistent(machine *m)
{
    qvk__pickle *id, *made;

    QVK__TRY(pop(m, &id));
    QVK__TRY(push_new(m, QVK__PICKLE_PERSISTENT, &made));
    return append(m, made, id);
}

static qvk_status put_mark(machine *m)
{
    return QVK__VEC_PUSH(&m->marks, m->stack.count) ? QVK_OK : no_memory(m);
}

static qvk_status put_tuple(machine *m)
{
    size_t first;
    QVK__TRY(pop_mark(m, &first));
    return make_tuple(m, first);
}

/* An opcode with an unsigned number behind it. */
static qvk_status with_number(machine *m, int count, qvk_status (*act)(machine *m, uint64_t number))
{
    uint64_t number;
    QVK__TRY(take_number(m, count, &number));
    return act(m, number);
}

static qvk_status push_unsigned(machine *m, uint64_t value)
{
    return push_int(m, (int64_t)value);
}

static qvk_status push_signed32(machine *m, uint64_t value)
{
    return push_int(m, (int32_t)(uint32_t)value);
}

static qvk_status skip(machine *m, uint64_t value)
{
    (void)m;
    (void)value;
    return QVK_OK;
}

/* State of an object (hooks, attributes): not needed. */
static qvk_status drop_state(machine *m)
{
    qvk__pickle *state;
    return pop(m, &state);
}

static qvk_status step(machine *m, uint8_t opcode)
{
    qvk__pickle *made;

    switch (opcode) {
    case 0x80: return with_number(m, 1, skip); /* PROTO */
    case 0x95: return with_number(m, 8, skip); /* FRAME */
    case '(': return put_mark(m);
    case 'c': return push_global(m);
    case 0x93: return push_stack_global(m);
    case 'q': return with_number(m, 1, memo_put);
    case 'r': return with_number(m, 4, memo_put);
    case 0x94: return memo_put(m, m->memo.count); /* MEMOIZE */
    case 'h': return with_number(m, 1, memo_get);
    case 'j': return with_number(m, 4, memo_get);
    case 'X': return push_string(m, 4);
    case 0x8c: return push_string(m, 1);
    case 'J': return with_number(m, 4, push_signed32);
    case 'K': return with_number(m, 1, push_unsigned);
    case 'M': return with_number(m, 2, push_unsigned);
    case 0x8a: return push_long(m);
    case 'G': return push_float(m);
    case 'N': return push_new(m, QVK__PICKLE_NONE, &made);
    case 0x88: return push_bool(m, true);
    case 0x89: return push_bool(m, false);
    case ')': return make_short_tuple(m, 0);
    case 0x85: return make_short_tuple(m, 1);
    case 0x86: return make_short_tuple(m, 2);
    case 0x87: return make_short_tuple(m, 3);
    case 't': return put_tuple(m);
    case ']': return push_new(m, QVK__PICKLE_LIST, &made);
    case 'a': return extend_by(m, QVK__PICKLE_LIST, 1);
    case 'e': return extend_marked(m, QVK__PICKLE_LIST);
    case '}': return push_new(m, QVK__PICKLE_DICT, &made);
    case 's': return extend_by(m, QVK__PICKLE_DICT, 2);
    case 'u': return extend_marked(m, QVK__PICKLE_DICT);
    case 'Q': return push_persistent(m);
    case 'R': return push_call(m);
    case 0x81: return push_call(m); /* NEWOBJ: cls.__new__(cls, *args) */
    case 'b': return drop_state(m);
    default:
        return qvk__fail_at(m->err, QVK_UNSUPPORTED, m->at - 1,
                            "%s: pickle, byte %llu: opcode 0x%02x, which torch.save does not write", m->what,
                            (unsigned long long)(m->at - 1), opcode);
    }
}

static qvk_status run(machine *m, const qvk__pickle **out)
{
    const uint8_t *opcode;
    qvk__pickle *result;

    for (;;) {
        QVK__TRY(take(m, 1, &opcode));
        if (*opcode == '.')
            break;
        QVK__TRY(step(m, *opcode));
    }
    QVK__TRY(pop(m, &result));
    *out = result;
    return QVK_OK;
}

qvk_status qvk__pickle_read(const uint8_t *data, uint64_t bytes, const char *what, qvk__arena *arena,
                            const qvk__pickle **out, qvk_error *err)
{
    machine m = {.data = data, .bytes = bytes, .what = what, .arena = arena, .err = err};
    qvk_status status = run(&m, out);

    free(m.stack.data);
    free(m.marks.data);
    free(m.memo.data);
    return status;
}

bool qvk__pickle_is_global(const qvk__pickle *value, const char *name)
{
    return value->kind == QVK__PICKLE_GLOBAL && strcmp(value->s, name) == 0;
}

bool qvk__pickle_is_call(const qvk__pickle *value, const char *name, size_t n_args,
                         const qvk__pickle *const **args)
{
    if (value->kind != QVK__PICKLE_CALL || !qvk__pickle_is_global(value->items[0], name) ||
        value->items[1]->count < n_args)
        return false;
    *args = (const qvk__pickle *const *)value->items[1]->items;
    return true;
}
