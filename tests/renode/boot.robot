*** Settings ***
Documentation       From the battery to the first samples.
Resource            shipment.resource
Suite Setup         Start Shipment
Suite Teardown      Clear Away
Test Setup          A Case Begins
Test Teardown       A Case Ends


*** Test Cases ***
A Tracker Boots And Takes Its First Sample
    Tracker Should Boot Within    20 s    power-on
    Log Should Hold    sample    within=1 sampling interval
    Log Should Hold    shipment start
    Log Should Be Whole

It Calls For The Time At Once
    Tracker Should Call Within    1 min
    Log Should Hold    clock sync    within=1 min

It Samples At Its Interval
    Let Pass    5 sampling intervals
    Samples Should Be One Interval Apart    at_least=5
    No Alarm Should Be Raised Within    2 sampling intervals
