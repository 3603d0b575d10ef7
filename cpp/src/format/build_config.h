// The header with which firmware says what it leaves out (kernels/parts.h): -DGRUCORE_CONFIG='"my_config.h"'.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_FORMAT_BUILD_CONFIG_H_
#define GRUCORE_FORMAT_BUILD_CONFIG_H_

#if defined(GRUCORE_CONFIG)
#include GRUCORE_CONFIG
#endif

#endif  // GRUCORE_FORMAT_BUILD_CONFIG_H_
