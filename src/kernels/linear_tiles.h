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

/* The device can run the tile. scales: of a part of a stage, for one column. */
bool qvk__coopmat_fits(const qvk__gpu_caps *caps, const qvk__coopmat_tile *tile, uint32_t scales);
/* The tile for a call; a measured one only where it fits. step: depth of a matrix. */
qvk__coopmat_tile qvk__coopmat_tile_of(const qvk__planner *planner, const qvk__linear_tuning *tuning,
                                       const qvk__linear_call *call, uint32_t step, uint32_t scales);

#endif
