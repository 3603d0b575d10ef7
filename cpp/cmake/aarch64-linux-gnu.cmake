# Cross-compiles for AArch64 Linux; programs run under qemu-user (Debian: g++-aarch64-linux-gnu, qemu-user-static).
# SPDX-License-Identifier: Apache-2.0
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
# cortex-a53 has the base architecture and nothing more, so an unguarded instruction of a later one is caught.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static -cpu cortex-a53 -L /usr/aarch64-linux-gnu)
# One that has the dot product, for the tests of its table.
set(GRUCORE_EMULATOR_DOT qemu-aarch64-static -cpu neoverse-n1 -L /usr/aarch64-linux-gnu)
