/* linear_tiles: the shapes of kernels of quantized linears: measured beforehand, measured here, or asked for.
 */
#ifndef QVK__LINEAR_TILES_H
#define QVK__LINEAR_TILES_H

#include "kernels/linear_call.h"

/* The device has 16 x 16 cooperative matrices of this depth. */
bool qvk__linear_has_matrices(const qvk__gpu_caps *caps, bool is_int8, uint32_t k);

/* Compute units, or a guess where the driver does not tell. */
uint64_t qvk__linear_units(const qvk__gpu_caps *caps);

/* What is asked for all linears, what was measured for the call's class, or zeros. *tuned_as: as in
 * qvk__dispatch. */
const qvk__linear_tuning *qvk__linear_tuning_of(const qvk__planner *planner, const qvk__linear_call *call,
                                                qvk__linear_rows rows, uint32_t *tuned_as);

/* What a kernel on cooperative matrices makes of a call. */
typedef struct qvk__coopmat_use {
    bool in_lanes; /* weights go into the matrices' registers (linear_lanes.comp), else through shared memory
                    */
    uint32_t step; /* depth of a matrix */
    uint32_t scales; /* of a part of a stage, for one column */
} qvk__coopmat_use;

/* The device can run the tile. */
bool qvk__coopmat_fits(const qvk__gpu_caps *caps, const qvk__coopmat_tile *tile, const qvk__coopmat_use *use);
/* The tile for a call; a measured one only where it fits. */
qvk__coopmat_tile qvk__coopmat_tile_of(const qvk__planner *planner, const qvk__linear_tuning *tuning,
                                       const qvk__linear_call *call, const qvk__coopmat_use *use);

#endif
