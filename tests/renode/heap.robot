*** Settings ***
Documentation       What is left of the heap while the tracker calls.
Resource            shipment.resource
Suite Setup         Start Shipment    watched=${True}
Suite Teardown      Clear Away
Test Setup          A Case Begins
Test Teardown       A Case Ends


*** Test Cases ***
Smallest Free Heap
    Tracker Should Call Within    1 min
    Let Pass    2 upload intervals
    Heap Should Have Left    2048
