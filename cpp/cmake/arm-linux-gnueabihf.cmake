# Cross-compiles for 32-bit Arm Linux with NEON; programs run under qemu-user (Debian: g++-arm-linux-gnueabihf,
# qemu-user-static). SPDX-License-Identifier: Apache-2.0
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_C_COMPILER arm-linux-gnueabihf-gcc)
set(CMAKE_CXX_COMPILER arm-linux-gnueabihf-g++)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
# The first of Arm's cores whose NEON fuses. Debian's own choice of 32-bit Arm has no NEON.
set(machine "-mcpu=cortex-a7 -mfpu=neon-vfpv4 -mfloat-abi=hard -marm -Wno-psabi")
set(CMAKE_C_FLAGS_INIT "${machine}")
set(CMAKE_CXX_FLAGS_INIT "${machine}")
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-arm-static -cpu cortex-a7 -L /usr/arm-linux-gnueabihf)
