/* Tables of the .pt2 enumerations. */
#include "pt2/codes.h"

typedef struct code_row {
    const char *name;
    int16_t file, c10;
} code_row;

static const code_row scalar_types[] = {
    {"BYTE", 1, 0},
    {"CHAR", 2, 1},
    {"SHORT", 3, 2},
    {"INT", 4, 3},
    {"LONG", 5, 4},
    {"HALF", 6, 5},
    {"FLOAT", 7, 6},
    {"DOUBLE", 8, 7},
    {"COMPLEXHALF", 9, 8},
    {"COMPLEXFLOAT", 10, 9},
    {"COMPLEXDOUBLE", 11, 10},
    {"BOOL", 12, 11},
    {"BFLOAT16", 13, 15},
    {"UINT16", 28, 27},
    {"FLOAT8E4M3FN", 29, 24},
    {"FLOAT8E5M2", 30, 23},
    {"FLOAT8E4M3FNUZ", 31, 26},
    {"FLOAT8E5M2FNUZ", 32, 25},
    {"FLOAT8E8M0FNU", 33, 44},
    {"UINT32", 34, 28},
    {"UINT64", 35, 29},
};

static const code_row layouts[] = {
    {"SparseCoo", 1, 1}, {"SparseCsr", 2, 2}, {"SparseCsc", 3, 4}, {"SparseBsr", 4, 5},
    {"SparseBsc", 5, 6}, {"_mkldnn", 6, 3},   {"Strided", 7, 0},
};

static const code_row memory_formats[] = {
    {"ContiguousFormat", 1, 0},
    {"ChannelsLast", 2, 2},
    {"ChannelsLast3d", 3, 3},
    {"PreserveFormat", 4, 1},
};

typedef struct code_table {
    const char *type, *argument;
    const code_row *rows;
    size_t count;
} code_table;

static const code_table tables[QVK__CODE_KINDS] = {
    [QVK__CODE_SCALAR_TYPE] = {"ScalarType", "as_scalar_type", scalar_types, QVK__COUNT(scalar_types)},
    [QVK__CODE_LAYOUT] = {"Layout", "as_layout", layouts, QVK__COUNT(layouts)},
    [QVK__CODE_MEMORY_FORMAT] = {"MemoryFormat", "as_memory_format", memory_formats,
                                 QVK__COUNT(memory_formats)},
};

static const code_row devices[] = {
    {"cpu", 0, 0},  {"cuda", 0, 1},    {"mkldnn", 0, 2}, {"hip", 0, 6},
    {"xla", 0, 9},  {"vulkan", 0, 10}, {"metal", 0, 11}, {"xpu", 0, 12},
    {"mps", 0, 13}, {"meta", 0, 14},   {"hpu", 0, 15},   {"privateuseone", 0, 20},
};

const char *qvk__code_type(qvk__code_kind kind)
{
    return tables[kind].type;
}

const char *qvk__code_argument(qvk__code_kind kind)
{
    return tables[kind].argument;
}

bool qvk__code_to_c10(qvk__code_kind kind, int64_t file_code, int64_t *out)
{
    for (size_t i = 0; i < tables[kind].count; i++) {
        if (tables[kind].rows[i].file == file_code) {
            *out = tables[kind].rows[i].c10;
            return true;
        }
    }
    return false;
}

bool qvk__code_from_c10(qvk__code_kind kind, int64_t c10, int64_t *out)
{
    for (size_t i = 0; i < tables[kind].count; i++) {
        if (tables[kind].rows[i].c10 == c10) {
            *out = tables[kind].rows[i].file;
            return true;
        }
    }
    return false;
}

bool qvk__code_from_name(qvk__code_kind kind, const char *name, int64_t *file_code)
{
    for (size_t i = 0; i < tables[kind].count; i++) {
        if (strcmp(tables[kind].rows[i].name, name) == 0) {
            *file_code = tables[kind].rows[i].file;
            return true;
        }
    }
    return false;
}

bool qvk__device_to_c10(const char *type, int64_t *out)
{
    for (size_t i = 0; i < QVK__COUNT(devices); i++) {
        if (strcmp(devices[i].name, type) == 0) {
            *out = devices[i].c10;
            return true;
        }
    }
    return false;
}

const char *qvk__device_from_c10(int64_t c10)
{
    for (size_t i = 0; i < QVK__COUNT(devices); i++)
        if (devices[i].c10 == c10)
            return devices[i].name;
    return NULL;
}
