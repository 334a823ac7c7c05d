/* --calibrate: a folder of calib_<sample>_in_<input>.npy files, or one .npz with entries of these names. */
#ifndef CLI_CALIBRATION_H
#define CLI_CALIBRATION_H

#include "cli.h"
#include "qvk/program.h"

/* Runs every sample once through the prepared program, on --device where one is found, else on the CPU
 * reference. */
int cli_calibrate(const cli_options *options, qvk_program *program);

#endif
