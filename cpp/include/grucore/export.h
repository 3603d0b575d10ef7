/* GRUCORE_API: the functions that a shared library shows. In a static library, and in the Python extension, none are
   shown to others. A shared build defines GRUCORE_SHARED for itself and its users, GRUCORE_BUILDING for itself.
   SPDX-License-Identifier: Apache-2.0 */
#ifndef GRUCORE_EXPORT_H_
#define GRUCORE_EXPORT_H_

#if !defined(GRUCORE_SHARED)
#define GRUCORE_API
#elif defined(_WIN32) && defined(GRUCORE_BUILDING)
#define GRUCORE_API __declspec(dllexport)
#elif defined(_WIN32)
#define GRUCORE_API __declspec(dllimport)
#else
#define GRUCORE_API __attribute__((visibility("default")))
#endif

#endif /* GRUCORE_EXPORT_H_ */
