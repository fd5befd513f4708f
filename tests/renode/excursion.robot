*** Settings ***
Documentation       The product gets warm: an alarm while there is time to act, and none before.
Resource            shipment.resource
Suite Setup         Start Shipment
Suite Teardown      Clear Away
Test Setup          A Case Begins
Test Teardown       A Case Ends


*** Test Cases ***
Within Its Range Nothing Is Raised
    Set Payload Temperature    7.5
    No Alarm Should Be Raised Within    3 sampling intervals

A Short Rise Is None
    Set Payload Temperature    9.5
    Let Pass    1 sampling interval
    Set Payload Temperature    6
    No Alarm Should Be Raised Within    4 sampling intervals

An Excursion Raises Its Alarm And Calls
    Set Payload Temperature    9.5
    Alarm Should Be Raised Within    payload    4 sampling intervals
    Tracker Should Call Within    1 min
    Set Payload Temperature    5
    Alarm Should End Within    payload    2 sampling intervals

The Gateway Knows
    Arrive
    Gateway Should Hold The Alarm    payload
