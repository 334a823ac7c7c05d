/* The compile half's handles. Only in builds with the compile half. */
#ifndef QVK__PROGRAM_INTERNAL_H
#define QVK__PROGRAM_INTERNAL_H

#include "ir/ir.h"
#include "program/program.h"
#include "quantize/quantize.h"
#include "qvk/lower.h"
#include "qvk/program.h"

typedef struct qvk__calibrator qvk__calibrator;

struct qvk_program {
    qvk__exported exported;
    /* Between qvk_prepare_pt2e and qvk_convert_pt2e, else NULL: the observers, and what runs the samples. */
    qvk__pt2e *prepared;
    qvk__calibrator *calibrator;
    void (*unprepare)(qvk_program *program); /* drops both; set with them */
};

struct qvk_lowered {
    qvk__program program;
    const char *outside; /* in program.arena */
    bool final;          /* after qvk_to_executorch */
};

#endif
