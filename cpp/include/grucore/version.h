/* The version of these headers, in C and C++; CMake reads it here.
   SPDX-License-Identifier: Apache-2.0 */
#ifndef GRUCORE_VERSION_H_
#define GRUCORE_VERSION_H_

#define GRUCORE_VERSION_MAJOR 0
#define GRUCORE_VERSION_MINOR 1
#define GRUCORE_VERSION_PATCH 0
/* 1.2.3 is 10203: to compare with. */
#define GRUCORE_VERSION (GRUCORE_VERSION_MAJOR * 10000 + GRUCORE_VERSION_MINOR * 100 + GRUCORE_VERSION_PATCH)

#endif /* GRUCORE_VERSION_H_ */
