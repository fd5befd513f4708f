*** Settings ***
Documentation       What is done to the box between two samples is noticed as it happens.
Resource            shipment.resource
Suite Setup         Start Shipment
Suite Teardown      Clear Away
Test Setup          A Case Begins
Test Teardown       A Case Ends


*** Test Cases ***
Somebody Opens The Box
    Sample Should Be Taken Within    2 sampling intervals
    Let Pass    1 s
    Open The Box    for_time=1 sampling interval
    Alarm Should Be Raised Within    light    3 s
    Tracker Should Call Within    1 min
    Alarm Should End Within    light    2 sampling intervals

The Box Is Dropped
    Drop The Box    metres=1
    Alarm Should Have Been Raised Within    shock    4 s
    Log Should Hold    free fall
    Tracker Should Call Within    1 min

The Box Lies On Its Side
    Tilt The Box    for_time=6 sampling intervals
    Alarm Should Be Raised Within    acceleration_z    4 sampling intervals
    Alarm Should End Within    acceleration_z    5 sampling intervals

The Gateway Knows
    Arrive
    Gateway Should Hold The Alarm    shock
    Gateway Should Hold Every Sample
