*** Settings ***
Documentation       Each sensor's value, set in the world, arrives at the console, and nothing else changes.
Resource            shipment.resource
Suite Setup         Start On The Bench
Suite Teardown      Clear Away
Test Setup          A Case Begins
Test Teardown       A Case Ends


*** Test Cases ***
Payload
    Set Payload Temperature    -18.5
    Sensor Should Read    payload    -18.5    within=0.35
    Set Payload Temperature    5.2
    Sensor Should Read    payload    5.2    within=0.35

Deep Cold
    Set Payload Temperature    -190
    Sensor Should Read    payload    -190    within=0.5
    Set Payload Temperature    5.2

Ambient
    Set Ambient Temperature    31
    Sensor Should Read    ambient    31    within=0.3

Humidity
    Set Humidity    55
    Sensor Should Read    humidity    55    within=3

Light
    Set Light    240
    Let Pass    2 s
    Sensor Should Read    light    240    within=30
    Set Light    0
    Let Pass    2 s
    Sensor Should Read    light    0    within=0.1

Acceleration
    Lay The Box On    y-
    Let Pass    2 s
    Sensor Should Read    acceleration_y    -1000    within=60
    Sensor Should Read    acceleration_z    0    within=60
    Lay The Box On    z+
    Let Pass    2 s
    Sensor Should Read    acceleration_z    1000    within=60

Battery
    Set Battery    3780
    Sensor Should Read    battery    3780    within=25
    Set Battery    4100
    Sensor Should Read    battery    4100    within=25
